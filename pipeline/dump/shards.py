"""One shard as it is written: an Arrow file, and a receipt of its length and its sha256."""

import hashlib
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa

if TYPE_CHECKING:  # where a shard lies decides none of its bytes
    from pipeline.storage.contract import Claim, Receipt


class Hashing:
    """A file to write to that keeps the sha256 and the length of what went through it."""

    closed = False

    def __init__(self, sink: BinaryIO) -> None:
        self.sink, self.sha256, self.bytes = sink, hashlib.sha256(), 0

    def write(self, data: bytes) -> None:
        """Write anything that has bytes."""
        self.sink.write(data)
        self.sha256.update(data)
        self.bytes += len(memoryview(data).cast("B"))

    def flush(self) -> None:
        """Hand what was written to the system."""
        self.sink.flush()


class Shard:
    """One shard being written to where its claim says.

    It has its name once `finish` has returned; without it nothing is left. Either way the claim is given back.
    """

    def __init__(self, claim: "Claim", schema: pa.Schema) -> None:
        self.claim = claim
        try:
            self.file = claim.part.open("wb")
        except BaseException:
            claim.release()
            raise
        self.hashing = Hashing(self.file)
        self.writer = pa.ipc.new_file(self.hashing, schema)

    def write(self, batch: pa.RecordBatch) -> None:
        """Write a record batch."""
        self.writer.write_batch(batch)
        self.claim.renew()

    def close(self) -> "Receipt":
        """Nothing more will be written -> what the receipt says."""
        try:
            self.writer.close()
            self.file.close()
        except BaseException:
            self.abandon()
            raise
        return {"bytes": self.hashing.bytes, "sha256": self.hashing.sha256.hexdigest()}

    def publish(self, receipt: "Receipt") -> "Receipt":
        """Give a shard that was closed its name, with its receipt. What fails leaves nothing."""
        try:
            self.claim.publish(receipt)
        finally:
            self.claim.release()
        return receipt

    def finish(self) -> "Receipt":
        """Close and publish."""
        return self.publish(self.close())

    def abandon(self) -> None:
        """Remove what is there of a shard that was not finished; of no effect on one that was."""
        try:
            self.file.close()  # flushes, which a full disk refuses
        finally:
            self.claim.release()
