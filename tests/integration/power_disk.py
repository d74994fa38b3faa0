# SPDX-License-Identifier: Apache-2.0
"""The disk that a power cut leaves, from what power_record.c took down.

As on ext4, xfs and btrfs: what was written is on the disk, sector by sector and in any order, or
not, until a sync of its file has ended; names change in the order in which they were changed, and a
sync of a file or of its directory makes all changes before it safe.
"""
import os
import struct

HEAD = struct.Struct("<IIIIQQQ")
MADE, WRITE, SIZE, SYNC_BEGIN, SYNC_END, RENAME, UNLINK, ALL, MARK = range(1, 10)
SECTOR = 512


def mark(trace, text):
    """Append what somebody was told: a moment in the order of all that was done."""
    data = text.encode()
    record = HEAD.pack(MARK, 0, len(data), 0, 0, 0, 0) + data
    assert os.write(trace, record) == len(record)


def read_trace(path):
    """The records as (op, inode, offset, number, is_synced, path, data), in order."""
    records = []
    with open(path, "rb") as file:
        while head := file.read(HEAD.size):
            operation, path_size, data_size, is_synced, inode, offset, number = HEAD.unpack(head)
            name = file.read(path_size).decode()
            data = file.read(data_size)
            assert len(data) == data_size, "a record is cut short"
            records.append((operation, inode, offset, number, is_synced, name, data))
    return records


class File:
    """What a file has now, and what of it is safe."""

    def __init__(self):
        self.now, self.safe, self.dirty = bytearray(), bytearray(), {}

    def write(self, offset, data, stamp):
        if len(self.now) < offset:
            self.now.extend(bytes(offset - len(self.now)))
        self.now[offset:offset + len(data)] = data
        for sector in range(offset // SECTOR, (offset + len(data) - 1) // SECTOR + 1):
            self.dirty[sector] = stamp

    def resize(self, size):
        if size < len(self.now):
            del self.now[size:]
        else:
            self.now.extend(bytes(size - len(self.now)))

    def keep(self, sectors, size):
        """Make some sectors safe as they are now."""
        if len(self.safe) < size:
            self.safe.extend(bytes(size - len(self.safe)))
        for sector in sectors:
            piece = self.now[sector * SECTOR:(sector + 1) * SECTOR][:max(0, size - sector * SECTOR)]
            self.safe[sector * SECTOR:sector * SECTOR + len(piece)] = piece


    def after_cut(self, random):
        """Each sector that is not safe is there or not."""
        kept = [sector for sector in self.dirty if random.random() < 0.5]
        ends = [min(len(self.now), (sector + 1) * SECTOR) for sector in kept]
        left = bytearray(self.safe.ljust(max([len(self.safe), *ends]), b"\0"))
        for sector in kept:
            piece = self.now[sector * SECTOR:(sector + 1) * SECTOR]
            left[sector * SECTOR:sector * SECTOR + len(piece)] = piece
        return left


class Disk:
    """All files, played up to a moment. Names are of File objects: numbers of inodes come back."""

    def __init__(self):
        self.files, self.names, self.safe_names = {}, {}, {}
        self.changes, self.settled = [], 0  # Lists of (path, file or None), each of one moment.
        self.begun, self.stamp = {}, 0

    def change(self, *names):
        for path, file in names:
            self.apply(self.names, path, file)
        self.changes.append(names)

    @staticmethod
    def apply(names, path, file):
        if file is None:
            names.pop(path, None)
        else:
            names[path] = file

    def settle(self, until):
        """All changes of names before that one are safe."""
        for names in self.changes[:max(0, until - self.settled)]:
            for path, file in names:
                self.apply(self.safe_names, path, file)
        del self.changes[:max(0, until - self.settled)]
        self.settled = max(self.settled, until)

    def made(self, inode, path, size):
        file = self.names.get(path)
        if file is None or self.files.get(inode) is not file:
            self.files[inode] = File()
            self.change((path, self.files[inode]))
        elif size == 0:
            file.resize(0)

    def end_sync(self, inode, stamp, changes):
        file = self.files.get(inode)
        if file is not None:
            # Written again since: then of the old bytes or the new, and the sector stays unsafe.
            done = [sector for sector, at in file.dirty.items() if at <= stamp]
            file.keep(done, len(file.now))
            del file.safe[len(file.now):]
            for sector in done:
                del file.dirty[sector]
        self.settle(changes)

    def play(self, record):
        operation, inode, offset, number, is_synced, path, data = record
        self.stamp += 1
        if operation == MADE:
            self.made(inode, path, offset)
        elif operation == WRITE:
            file = self.files.setdefault(inode, File())
            file.write(offset, data, self.stamp)
            if is_synced:
                sectors = range(offset // SECTOR, (offset + len(data) - 1) // SECTOR + 1)
                file.keep(sectors, len(file.now))
        elif operation == SIZE:
            self.files.setdefault(inode, File()).resize(offset)
        elif operation == SYNC_BEGIN:
            self.begun[number] = (self.stamp, self.settled + len(self.changes))
        elif operation == SYNC_END:
            self.end_sync(inode, *self.begun.pop(number))
        elif operation == ALL:
            for file in self.files.values():
                file.keep(list(file.dirty), len(file.now))
                file.dirty.clear()
            self.settle(self.settled + len(self.changes))
        elif operation == RENAME:
            self.change((data.decode(), self.names.get(path)), (path, None))
        elif operation == UNLINK:
            self.change((path, None))

    def cut(self, directory, random):
        """Write the disk that is left when the power fails now."""
        left = dict(self.safe_names)
        for names in self.changes[:random.randint(0, len(self.changes))]:
            for path, file in names:
                self.apply(left, path, file)
        for path, file in left.items():
            os.makedirs(os.path.dirname(directory + path), mode=0o700, exist_ok=True)
            with open(directory + path, "wb", opener=lambda p, f: os.open(p, f, 0o600)) as out:
                out.write(file.after_cut(random))
