"""Status logs of revocation registries: heads, segments, records, and the state in force at a time.

The format is docs/StatusLog.md of the FlexID Cloud Agent. Times are unix seconds.
"""

import re
from dataclasses import dataclass, field
from typing import Awaitable, Callable, Protocol

from .errors import DidAlgoError, invalid
from .objects import inflate

_KIND = 1
_OPEN = 0x80
_MORE, _NEW_SEGMENT, _RESERVED = 0x80, 0x40, 0x30
_TOGGLED, _DEFLATED = 0x01, 0x02
_BITMAP, _DEFLATED_BITMAP, _GAPS, _DEFLATED_GAPS = range(4)
_SEGMENT, _SEGMENT_HEAD, _ENTRY_HEAD = 8_192, 32, 18
_MAX_NUMBER = 2**53 - 1
_MAX_SIZE = 32_768
_COORDINATES, _COORDINATE = 6, 34
_PACKED = _COORDINATES * _COORDINATE
_ACCUMULATOR = re.compile(r"[0-9]+ [0-9A-F]+(?: [0-9]+ [0-9A-F]+){5}")
_MAX_ACCUMULATOR = 1_024
_READS = 3
_MAX_STEPS = 64


def check_size(size: object) -> int:
    """Return the size of a registry. Raises DidAlgoError `object-invalid` for one that no registry has."""
    if not isinstance(size, int) or isinstance(size, bool) or not 2 <= size <= _MAX_SIZE:
        raise invalid(f"a registry has no {size!r} credentials")
    return size


@dataclass(frozen=True)
class State:
    """A state of a registry. Bit i of `revoked`, an integer, is the credential of index i."""

    accumulator: str
    revoked: int
    time: int
    round: int

    def revocation_list(self, size: int) -> list[int]:
        """Return the AnonCreds form: `size` times 0 or 1."""
        return [self.revoked >> index & 1 for index in range(size)]


# --- records


def _check_bits(data: bytes, size: int) -> int:
    bits = int.from_bytes(data, "little")
    if len(data) != (size + 7) // 8:
        raise invalid(f"a bitmap has {len(data)} bytes for {size} credentials")
    if bits & 1 or bits >> size:
        raise invalid(f"a bitmap has an index that none of {size} credentials has")
    return bits


def _check_gaps(data: bytes, size: int) -> int:
    bits = index = gap = shift = 0
    for byte in data:
        gap |= (byte & 0x7F) << shift
        shift += 7
        if shift > 21:
            raise invalid("a gap has more than three bytes")
        if byte & 0x80:
            continue
        if byte == 0:
            raise invalid("a gap is 0, or longer than it must be")
        index += gap
        if index >= size:
            raise invalid(f"a gap leads to index {index} of {size} credentials")
        bits |= 1 << index
        gap = shift = 0
    if shift:
        raise invalid("a gap lacks its end")
    return bits


def decode_set(form: int, data: bytes, size: int) -> int:
    """Return a set of indices as an integer. Raises DidAlgoError `object-invalid`."""
    if form == _BITMAP:
        return _check_bits(data, size)
    if form == _DEFLATED_BITMAP:
        return _check_bits(inflate(data, (size + 7) // 8), size)
    return _check_gaps(data if form == _GAPS else inflate(data, 3 * size), size)


def _rendered(data: bytes) -> str:
    words = []
    for at in range(0, _PACKED, _COORDINATE):
        number = int.from_bytes(data[at + 1 : at + _COORDINATE])
        words.append(f"{data[at]} {number:064X}")
    return " ".join(words)


def decode_record(flags: int, payload: bytes, size: int, former: int | None = None) -> tuple[str, int]:
    """Return accumulator and set of a record; `former` is the set of the record before.

    Raises DidAlgoError `object-invalid`.
    """
    if flags & _DEFLATED:
        length = 2 + int.from_bytes(payload[:2])
        if len(payload) < length or length == 2:
            raise invalid("a record ends within its accumulator")
        accumulator = inflate(payload[2:length], _MAX_ACCUMULATOR).decode("latin-1")
    else:
        length = _PACKED
        if len(payload) < length:
            raise invalid("a record ends within its accumulator")
        accumulator = _rendered(payload[:length])
    if _ACCUMULATOR.fullmatch(accumulator) is None:
        raise invalid("a record has no accumulator")
    bits = decode_set(flags >> 2 & 3, payload[length:], size)
    if flags & _TOGGLED:
        if former is None:
            raise invalid("the first record of a segment does not stand by itself")
        bits ^= former
    return accumulator, bits


# --- boxes


def _number(box: bytes, at: int) -> int:
    value = int.from_bytes(box[at : at + 8])
    if value > _MAX_NUMBER:
        raise invalid(f"a log has the number {value}")
    return value


@dataclass(frozen=True)
class Head:
    """The head of a log."""

    open: bool
    entries: int
    segment: int
    created: int
    updated: int
    round: int


def unpack_head(box: bytes) -> Head:
    """Take the head of a log apart. Raises DidAlgoError `object-invalid`."""
    if len(box) != 41:
        raise invalid(f"the head of a log has {len(box)} bytes")
    if box[0] & ~_OPEN != _KIND:
        raise invalid(f"a log has records of another kind ({box[0] & ~_OPEN})")
    entries, segment, created, updated, round_ = (_number(box, at) for at in (1, 9, 17, 25, 33))
    if segment > 0xFFFF_FFFF:
        raise invalid(f"a log has the segment {segment}")
    return Head(bool(box[0] & _OPEN), entries, segment, created, updated, round_)


@dataclass(frozen=True)
class Entry:
    """An entry of a segment; `data` begins with its flags."""

    time: int
    round: int
    data: bytes


@dataclass(frozen=True)
class Record:
    """A record: entries joined. One that is not whole counts as none."""

    time: int
    round: int
    flags: int
    payload: bytes
    whole: bool


@dataclass(frozen=True)
class Segment:
    """A segment of a log."""

    entries: list[Entry] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)

    @property
    def start(self) -> int | None:
        """Time of the first entry."""
        return self.entries[0].time if self.entries else None

    def states(self, size: int) -> list[State]:
        """Return the states of the segment, the oldest first. Raises DidAlgoError `object-invalid`."""
        states: list[State] = []
        for record in self.records:
            if record.whole:
                former = states[-1].revoked if states else None
                accumulator, bits = decode_record(record.flags, record.payload, size, former)
                states.append(State(accumulator, bits, record.time, record.round))
        return states


def _entries(box: bytes) -> list[Entry]:
    entries = []
    at = _SEGMENT_HEAD
    while at < len(box):
        begin = at + _ENTRY_HEAD
        end = begin + int.from_bytes(box[at : at + 2])
        if end == begin or end > len(box):
            raise invalid("an entry is cut off")
        entries.append(Entry(_number(box, at + 2), _number(box, at + 10), box[begin:end]))
        at = end
    return entries


def _record(entries: list[Entry], first: int) -> tuple[Record, int]:
    head = entries[first]
    parts = [head.data[1:]]
    flags, one_round, at = head.data[0], True, first + 1
    while flags & _MORE and at < len(entries):
        part = entries[at]
        flags = part.data[0]
        if flags & ~_MORE:
            raise invalid("a record has torn parts")
        if part.time != head.time or part.round < head.round:
            raise invalid("a record has parts of different times")
        one_round = one_round and part.round == head.round
        parts.append(part.data[1:])
        at += 1
    whole = not flags & _MORE and one_round
    own = head.data[0] & ~(_MORE | _NEW_SEGMENT)
    return Record(head.time, head.round, own, b"".join(parts), whole), at


def unpack_segment(box: bytes, number: int) -> Segment:
    """Take the segment with this number apart. Raises DidAlgoError `object-invalid`."""
    if not _SEGMENT_HEAD <= len(box) <= _SEGMENT:
        raise invalid(f"a segment has {len(box)} bytes")
    entries = _entries(box)
    records: list[Record] = []
    at = 0
    while at < len(entries):
        flags = entries[at].data[0]
        if records and (entries[at].time <= records[-1].time or entries[at].round <= records[-1].round):
            raise invalid("the time of a record goes back")
        if flags & _RESERVED:
            raise invalid(f"a record has an unknown form ({flags})")
        if bool(flags & _NEW_SEGMENT) != (at == 0 and number > 0):
            raise invalid("a record belongs to another segment")
        record, at = _record(entries, at)
        records.append(record)
    return Segment(entries, records)


# --- the state in time


class LogBoxes(Protocol):
    """The boxes of one log, as a node has them."""

    async def head(self) -> bytes | None:
        """Return the head's box."""

    async def segment(self, number: int) -> bytes | None:
        """Return a segment's box."""


@dataclass(frozen=True)
class OpenLog:
    """The head of a log and its current segment, which belong together."""

    head: Head
    current: Segment
    boxes: LogBoxes

    async def segment(self, number: int) -> Segment | None:
        """Return a segment; None where it was pruned."""
        if number == self.head.segment:
            return self.current
        box = await self.boxes.segment(number)
        return None if box is None else unpack_segment(box, number)


def _agree(head: Head, current: Segment) -> bool:
    if not current.entries:
        return head.entries == 0 and head.segment == 0
    last = current.entries[-1]
    return (
        last.time == head.updated
        and last.round == head.round
        and bool(last.data[0] & _OPEN) == head.open
        and len(current.entries) <= head.entries
    )


async def open_log(boxes: LogBoxes) -> OpenLog | None:
    """Open a log; None where there is none. Raises DidAlgoError `object-invalid`."""
    for _ in range(_READS):
        head_box = await boxes.head()
        if head_box is None:
            return None
        head = unpack_head(head_box)
        box = await boxes.segment(head.segment)
        current = None if box is None else unpack_segment(box, head.segment)
        if current is not None and _agree(head, current):
            return OpenLog(head, current, boxes)
    raise invalid("the head of a log is not that of its current segment")


async def _last_that(end: int, holds: Callable[[int], Awaitable[bool]]) -> int:
    low, high = 0, end - 1
    while low <= high:
        middle = (low + high) // 2
        if await holds(middle):
            low = middle + 1
        else:
            high = middle - 1
    return high


async def _segment_at(log: OpenLog, time: int) -> int:
    async def begins(number: int) -> bool:
        segment = await log.segment(number)
        # a pruned segment counts as one that began earlier
        return segment is None or segment.start is None or segment.start <= time

    return log.head.segment if await begins(log.head.segment) else await _last_that(log.head.segment, begins)


async def state_at(log: OpenLog, size: int, time: int | None = None) -> State:
    """Return the state in force at `time`, or the last one.

    Raises DidAlgoError `status-none`, `status-pruned`, `object-invalid`.
    """
    when = "any time" if time is None else time
    none = DidAlgoError("status-none", f"the registry had no state at {when}")
    if log.head.entries == 0 or (time is not None and time < log.head.created):
        raise none
    number = log.head.segment if time is None else await _segment_at(log, time)
    for number in range(number, max(-1, number - _MAX_STEPS - 1), -1):
        segment = await log.segment(number)
        if segment is None:
            raise DidAlgoError("status-pruned", f"the registry has dropped its state of {when}")
        states = [state for state in segment.states(size) if time is None or state.time <= time]
        if states:
            return states[-1]
    if number > 0:
        raise invalid("a log has too many segments without a state")
    raise none
