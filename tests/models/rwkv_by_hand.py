"""The definition of each generation of RWKV: a loop over tokens in NumPy and float64, from BlinkDL's tensors."""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def silu(x):
    return x * sigmoid(x)


def layer_norm(x, weight, bias, eps=1e-5):
    return (x - x.mean()) / np.sqrt(x.var() + eps) * weight + bias


def group_norm(y, weight, bias, eps):
    """Heads (H, N) -> (D,), each normed by itself."""
    normed = (y - y.mean(1, keepdims=True)) / np.sqrt(y.var(1, keepdims=True) + eps)
    return normed.ravel() * weight + bias


def time_mix_4(w, x, before, state):
    a, b = state if state is not None else (0.0, 0.0)
    k, v, r = (
        w[f"{name}.weight"] @ (x * w[f"time_mix_{name[0]}"] + before * (1 - w[f"time_mix_{name[0]}"]))
        for name in ("key", "value", "receptance")
    )
    now = np.exp(w["time_first"] + k)
    y = (a + now * v) / (b + now)
    decay = np.exp(-np.exp(w["time_decay"]))
    return w["output.weight"] @ (sigmoid(r) * y), (decay * a + np.exp(k) * v, decay * b + np.exp(k))


def outer_product_state(w, r, k, v, decay, bonus, state):
    """y_t = r_t (S + diag(u) k v^T), S = diag(w) S + k v^T in each head, of (H, N) each."""
    kv = k[:, :, None] * v[:, None, :]
    state = np.zeros_like(kv) if state is None else state
    y = np.einsum("hi,hij->hj", r, state + bonus[:, :, None] * kv)
    return y, decay[:, :, None] * state + kv


def time_mix_5(w, x, before, state):
    r, k, v, g = (
        w[f"{name}.weight"] @ (x * w[f"time_mix_{name[0]}"] + before * (1 - w[f"time_mix_{name[0]}"]))
        for name in ("receptance", "key", "value", "gate")
    )
    heads = (len(w["time_decay"]), -1)
    r, k, v = (part.reshape(heads) for part in (r, k, v))
    decay = np.exp(-np.exp(w["time_decay"].reshape(heads))) * np.ones_like(k)
    bonus = np.exp(w["time_first"]) if "time_first" in w else w["time_faaaa"]
    y, state = outer_product_state(w, r, k, v, decay, bonus.reshape(heads) * np.ones_like(k), state)
    y = group_norm(y, w["ln_x.weight"], w["ln_x.bias"], 64e-5)
    return w["output.weight"] @ (y * silu(g)), state


def time_mix_6(w, x, before, state):
    d = before - x
    low = np.tanh((x + d * w["time_maa_x"]) @ w["time_maa_w1"]).reshape(5, -1)
    mixed = {name: x + d * (w[f"time_maa_{name}"] + low[i] @ w["time_maa_w2"][i]) for i, name in enumerate("wkvrg")}
    decay = w["time_decay"] + np.tanh(mixed["w"] @ w["time_decay_w1"]) @ w["time_decay_w2"]
    heads = w["time_faaaa"].shape
    maps = {"r": "receptance", "k": "key", "v": "value", "g": "gate"}
    r, k, v, g = (w[f"{name}.weight"] @ mixed[short] for short, name in maps.items())
    r, k, v, decay = (part.reshape(heads) for part in (r, k, v, np.exp(-np.exp(decay))))
    y, state = outer_product_state(w, r, k, v, decay, w["time_faaaa"], state)
    y = group_norm(y, w["ln_x.weight"], w["ln_x.bias"], 64e-5)
    return w["output.weight"] @ (y * silu(g)), state


def time_mix_7(w, x, before, state, first):
    d, heads = before - x, w["r_k"].shape
    z = {name: x + d * w[f"x_{name}"] for name in "rwkvag"}
    r, k, v = (w[f"{name}.weight"] @ z[name[0]] for name in ("receptance", "key", "value"))
    decay = np.exp(-np.exp(-0.5) * sigmoid(w["w0"] + np.tanh(z["w"] @ w["w1"]) @ w["w2"]))
    a = sigmoid(w["a0"] + z["a"] @ w["a1"] @ w["a2"])
    g = sigmoid(z["g"] @ w["g1"]) @ w["g2"]
    if first is None:
        first = v
    else:
        v = v + (first - v) * sigmoid(w["v0"] + z["v"] @ w["v1"] @ w["v2"])
    kk = (k * w["k_k"]).reshape(heads)
    kk = kk / np.linalg.norm(kk, axis=1, keepdims=True)
    r, k, v, decay, a = (part.reshape(heads) for part in (r, k * (1 + (a - 1) * w["k_a"]), v, decay, a))
    state = np.zeros((*heads, heads[1])) if state is None else state  # values by keys
    removed = np.einsum("hvk,hk->hv", state, kk)
    state = state * decay[:, None, :] - removed[:, :, None] * (kk * a)[:, None, :] + v[:, :, None] * k[:, None, :]
    y = np.einsum("hvk,hk->hv", state, r)
    y = group_norm(y, w["ln_x.weight"], w["ln_x.bias"], heads[1] * 1e-5)
    y = y + ((r * k * w["r_k"]).sum(1, keepdims=True) * v).ravel()
    return w["output.weight"] @ (y * g), state, first


def channel_mix(w, x, before):
    if "x_k" in w:  # RWKV-7
        return w["value.weight"] @ np.maximum(w["key.weight"] @ (x + (before - x) * w["x_k"]), 0) ** 2
    mixes = {
        short: w[f"time_maa_{short}"] if f"time_maa_{short}" in w else 1 - w[f"time_mix_{short}"] for short in "kr"
    }
    k, r = (w[f"{name}.weight"] @ (x + (before - x) * mixes[name[0]]) for name in ("key", "receptance"))
    return sigmoid(r) * (w["value.weight"] @ np.maximum(k, 0) ** 2)


TIME_MIXES = {"rwkv": time_mix_4, "rwkv5": time_mix_5, "rwkv6": time_mix_6, "rwkv7": time_mix_7}


def parts(tensors, prefix):
    """The tensors under a prefix, as arrays without sides of 1 in front."""
    found = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
    arrays = {name: tensor.double().numpy() for name, tensor in found.items()}
    return {name: array.ravel() if array.shape[:2] == (1, 1) else array for name, array in arrays.items()}


def run(kind, tensors, ids):
    """Token ids (T,) -> the L + 1 layers (T, D) each, and logits (T, V)."""
    top = parts(tensors, "")
    depth = 1 + max(int(name.split(".")[1]) for name in tensors if name.startswith("blocks."))
    blocks = [
        {kind: parts(tensors, f"blocks.{i}.{kind}.") for kind in ("att", "ffn", "ln1", "ln2")} for i in range(depth)
    ]
    norms = parts(tensors, "blocks.0.ln0.")
    width = len(norms["weight"])
    last = [[np.zeros(width), None, np.zeros(width)] for _ in range(depth)]
    layers, logits = [[] for _ in range(depth + 1)], []
    for token in ids:
        x, first = layer_norm(top["emb.weight"][token], norms["weight"], norms["bias"]), ()
        layers[0].append(x)
        for i, block in enumerate(blocks):
            a = layer_norm(x, block["ln1"]["weight"], block["ln1"]["bias"])
            carried = (first or (None,)) if kind == "rwkv7" else ()
            y, last[i][1], *first = TIME_MIXES[kind](block["att"], a, last[i][0], last[i][1], *carried)
            x, last[i][0] = x + y, a
            b = layer_norm(x, block["ln2"]["weight"], block["ln2"]["bias"])
            x, last[i][2] = x + channel_mix(block["ffn"], b, last[i][2]), b
            layers[i + 1].append(x)
        logits.append(top["head.weight"] @ layer_norm(x, top["ln_out.weight"], top["ln_out.bias"]))
    return [np.stack(layer) for layer in layers], np.stack(logits)
