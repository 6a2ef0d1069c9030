"""The cluster that RAY_ADDRESS names: whether anything answers there, before Ray asks, which tries for minutes."""

import os
import socket

from pipeline.base.errors import InputError, first_line

VARIABLE = "RAY_ADDRESS"
OF_THIS_MACHINE = ("", "auto", "local")
"""values that name no other machine: a Ray of our own (the first and the last), or one that runs here"""
SECONDS = 5.0
"""after which nothing answers"""


def given() -> str:
    """What RAY_ADDRESS says; "" where it is not set."""
    return os.environ.get(VARIABLE, "")


def check() -> None:
    """Raise InputError where RAY_ADDRESS is no address of a cluster, or nothing answers there."""
    address = given()
    if address in OF_THIS_MACHINE:
        return
    if address.startswith("ray://"):
        raise InputError(f"{VARIABLE} is {address!r}, a client's address: run on a machine of the cluster with auto")
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise InputError(f"{VARIABLE} is {address!r}, expected HOST:PORT such as 10.0.0.1:6379, auto or local")
    try:
        socket.create_connection((host.strip("[]"), int(port)), SECONDS).close()
    except OSError as error:
        raise InputError(silence(error)) from error


def silence(error: BaseException) -> str:
    """What to say where no Ray answers."""
    return (
        f"no Ray answers at {VARIABLE} {given()!r} ({first_line(error)}): start one there (ray start --head), or leave "
        f"{VARIABLE} out for one of this machine"
    )
