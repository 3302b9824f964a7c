"""As much of BER (X.690) as LDAP messages need: definite lengths, tags of one byte."""

SEQUENCE, INTEGER, OCTETS, APPLICATION = 0x30, 0x02, 0x04, 0x40


class BerError(Exception):
    """Bytes that are no BER, or more of it than this reads."""


def encode(tag, content):
    size = len(content)
    if size < 0x80:
        head = bytes([tag, size])
    else:
        digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
        head = bytes([tag, 0x80 | len(digits)]) + digits
    return head + content


def message_length(data):
    """Length of the element that begins here, head included; None while its head is incomplete."""
    if len(data) < 2:
        return None
    if data[1] < 0x80:
        return 2 + data[1]
    digits = data[1] & 0x7F
    if not 1 <= digits <= 4:
        raise BerError("length of a form that LDAP does not use")
    if len(data) < 2 + digits:
        return None
    return 2 + digits + int.from_bytes(data[2:2 + digits], "big")


def members(data):
    """The elements that stand one after the other, each as (tag, content)."""
    out = []
    while data:
        length = message_length(data)
        if length is None or length > len(data):
            raise BerError("element cut short")
        head = 2 if data[1] < 0x80 else 2 + (data[1] & 0x7F)
        out.append((data[0], data[head:length]))
        data = data[length:]
    return out


def decode_integer(content):
    return int.from_bytes(content, "big", signed=True)


def encode_integer(value):
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)
