import {
  Account,
  type arc4,
  assert,
  Bytes,
  type bytes,
  Contract,
  contract,
  Global,
  gtxn,
  itxn,
  op,
  Txn,
  type uint64,
} from '@algorandfoundation/algorand-typescript';

/** Bit 7 of a resource's codec while parts are missing, and of a log's kind while its last record is incomplete. */
const OPEN = 128;
/** Bytes of a resource box before its payload: codec, type, time, round. */
const RESOURCE_HEAD = 18;
/** Bytes of a record before its data: length, time, round. */
const RECORD_HEAD = 18;
/** The most bytes of a segment. */
const SEGMENT = 8192;
/** Flag of a record: it begins a new segment. */
const NEW_SEGMENT = 64;

/** The minimum balance of the application's account, in microALGO: what its boxes lock. */
function locked(): uint64 {
  return op.minBalance(Global.currentApplicationAddress);
}

/** The account that pays for the group: the sender of its first transaction. */
function sponsor(): bytes {
  return gtxn.Transaction(0).sender.bytes;
}

/** Time of the last block and number of this one, 16 bytes. */
function stamp(): bytes {
  return op.itob(Global.latestTimestamp).concat(op.itob(Global.round));
}

function byte(value: uint64): bytes {
  return op.extract(op.itob(value), 7, 1);
}

function exists(name: bytes): boolean {
  const [_length, found] = op.Box.length(name);
  return found;
}

/**
 * Pays a freed deposit back by an inner payment whose fee the group pools. A payment that would leave the receiver under its minimum balance, as a small one to a closed
 * account would, is left out: the protocol would refuse the group, and whoever closed the account would have blocked a write.
 */
function refund(amount: uint64, payer: bytes): void {
  const receiver = Account(payer.toFixed({ length: 32, strategy: 'unsafe-cast' }));
  if (amount > 0 && op.balance(receiver) + amount >= op.minBalance(receiver)) {
    itxn.payment({ receiver, amount, fee: 0 }).submit();
  }
}

/** Pays back what the locked money has fallen below `before`. */
function settle(before: uint64, payer: bytes): void {
  const after = locked();
  if (after < before) {
    refund(before - after, payer);
  }
}

/**
 * Deletes a box and pays its deposit back to `payer`, unless that is `next`, who pays for what follows: then the difference is settled at the end of the call.
 * @returns what was paid back, which the end of the call must not count again
 */
function release(name: bytes, payer: bytes, next: bytes): uint64 {
  const before = locked();
  op.Box.delete(name);
  if (payer === next) {
    return 0;
  }
  const freed: uint64 = before - locked();
  refund(freed, payer);
  return freed;
}

/** The name of the data box for a version of a document: 64 bits of a hash. */
function dataName(key: bytes, version: uint64, salt: uint64): bytes {
  return op.extract(op.sha256(key.concat(op.itob(version)).concat(op.itob(salt))), 0, 8);
}

/** Creates a data box. One that is there already, whosever it is, is never touched: the caller takes another salt. */
function createData(name: bytes, size: uint64): void {
  assert(!exists(name), 'data box taken');
  op.Box.create(name, size);
}

/** The DID must be ready. */
function active(key: bytes): void {
  assert(op.Box.extract(key, 16, 1) === byte(1), 'did not active');
}

/** The DID must be ready, its version the expected one. */
function current(key: bytes, version: uint64): void {
  active(key);
  assert(op.Box.extract(key, 25, 8) === op.itob(version), 'did version');
}

/** The sender must be the DID's key or its operator, and the DID ready. */
function writer(key: bytes): void {
  active(key);
  const sender = Txn.sender.bytes;
  assert(sender === key || op.Box.extract(infoName(key), 24, 32) === sender, 'not the DID key or its operator');
}

function infoName(key: bytes): bytes {
  return Bytes('d').concat(key);
}

function stagedName(key: bytes): bytes {
  return Bytes('p').concat(key);
}

function segmentName(key: bytes, lid: bytes, number: uint64): bytes {
  return Bytes('g')
    .concat(key)
    .concat(lid)
    .concat(op.extract(op.itob(number), 4, 4));
}

/**
 * The FlexID registry: DID documents in the published did:algo box layout, write-once issuer resources, append-only status logs.
 *
 * Permissionless and immutable: no update, no delete, no owner, no global state. Box names and values are tabulated in README.md; name lengths (8, 32, 33, 57, 61) are
 * disjoint, so a did:algo resolver meets none of the other boxes. What an attacker can and cannot do is in SECURITY.md.
 *
 * Deposits: the protocol refuses a transaction that leaves this application under its minimum balance, so a payment of the exact increase stands first in the group and
 * nothing is checked here. A freed deposit goes back to the account that paid it, by an inner payment whose fee the group pools.
 */
@contract({ name: 'FlexidRegistry', avmVersion: 10 })
export class FlexidRegistry extends Contract {
  /**
   * Creates or replaces the document of the sender's DID. What is staged is left alone.
   *
   * @param version the version that is replaced; 0 creates
   * @param salt any number for which the data box does not exist yet
   * @param data the document
   */
  didPut(version: uint64, salt: uint64, data: bytes): void {
    const before = locked();
    const key = Txn.sender.bytes;
    const name = dataName(key, version + 1, salt);
    createData(name, data.length);
    op.Box.replace(name, 0, data);
    this.publish(key, version, name, data.length, sponsor(), before);
  }

  /**
   * Starts a document that does not fit one call, and drops what was staged before.
   *
   * @param version the version that is to be replaced
   * @param salt as for didPut
   * @param size bytes of the whole document
   * @param data its first part
   */
  didStage(version: uint64, salt: uint64, size: uint64, data: bytes): void {
    let before = locked();
    const key = Txn.sender.bytes;
    const staged = stagedName(key);
    if (exists(staged)) {
      before -= this.unstage(staged, sponsor());
    }
    const name = dataName(key, version + 1, salt);
    createData(name, size);
    op.Box.put(staged, name.concat(op.itob(size)).concat(sponsor()));
    op.Box.replace(name, 0, data);
    settle(before, sponsor());
  }

  /**
   * A further part of the staged document.
   *
   * @param offset where the part goes
   * @param data the part
   */
  didMore(offset: uint64, data: bytes): void {
    op.Box.replace(op.Box.extract(stagedName(Txn.sender.bytes), 0, 8), offset, data);
  }

  /**
   * Creates or replaces the document of the sender's DID with the staged one.
   *
   * @param version the version that is replaced; 0 creates
   * @param salt the salt that it was staged with
   * @param data its last part
   */
  didCommit(version: uint64, salt: uint64, data: bytes): void {
    const key = Txn.sender.bytes;
    const staged = stagedName(key);
    const name = dataName(key, version + 1, salt);
    const pending = op.Box.extract(staged, 0, 48);
    assert(op.extract(pending, 0, 8) === name, 'staged document');
    const size = op.btoi(op.extract(pending, 8, 8));
    const payer = op.extract(pending, 16, 32);
    op.Box.replace(name, size - data.length, data);
    let before = locked();
    before -= release(staged, payer, sponsor());
    this.publish(key, version, name, size, payer, before);
  }

  /** Drops the sender's staged document. */
  didDrop(): void {
    this.unstage(stagedName(Txn.sender.bytes), Bytes());
  }

  /**
   * Ends the sender's DID for good: the document goes, the metadata stays with status 2, so the DID can never be created again.
   *
   * @param version the version that is ended
   */
  didDeactivate(version: uint64): void {
    const key = Txn.sender.bytes;
    current(key, version);
    release(op.Box.extract(key, 0, 8), op.Box.extract(infoName(key), 56, 32), Bytes());
    op.Box.put(
      key,
      op
        .bzero(16)
        .concat(byte(2))
        .concat(op.bzero(8))
        .concat(op.itob(version + 1)),
    );
    op.Box.replace(infoName(key), 8, stamp());
  }

  /**
   * Appoints the account that may write resources and logs for the sender's DID.
   *
   * @param operator the account; all zeros for none
   */
  setOperator(operator: Account): void {
    op.Box.replace(infoName(Txn.sender.bytes), 24, operator.bytes);
  }

  /**
   * Starts a write-once resource; it is sealed at once if `data` is all of it. An unsealed one with this name is started anew, and what that frees goes to the sponsor.
   *
   * @param key the DID's key
   * @param oid 24 bytes that name the resource
   * @param head codec (below 128) and type, a byte each
   * @param size bytes of the whole payload
   * @param data the first part
   */
  resPut(key: Account, oid: bytes<24>, head: bytes<2>, size: uint64, data: bytes): void {
    const before = locked();
    writer(key.bytes);
    const name = Bytes('r').concat(key.bytes).concat(oid);
    const codec = op.getByte(head, 0);
    assert(codec < OPEN, 'codec');
    if (exists(name)) {
      assert(op.btoi(op.Box.extract(name, 0, 1)) >= OPEN, 'resource sealed');
      op.Box.delete(name);
    }
    op.Box.create(name, size + RESOURCE_HEAD);
    // While open, bit 7 of the codec is set and the place of the time holds the offset of the next part.
    op.Box.replace(name, 0, op.setByte(head, 0, codec + OPEN).concat(op.itob(RESOURCE_HEAD)));
    this.write(name, data);
    settle(before, sponsor());
  }

  /**
   * The next part of an unsealed resource; the part that completes it seals it.
   *
   * @param key the DID's key
   * @param oid 24 bytes that name the resource
   * @param data the part
   */
  resMore(key: Account, oid: bytes<24>, data: bytes): void {
    writer(key.bytes);
    this.write(Bytes('r').concat(key.bytes).concat(oid), data);
  }

  /**
   * Opens a status log with its first, empty segment.
   *
   * @param key the DID's key
   * @param lid 24 bytes that name the log
   * @param kind what its records are (below 128)
   */
  logOpen(key: Account, lid: bytes<24>, kind: arc4.Uint8): void {
    writer(key.bytes);
    assert(kind.asUint64() < OPEN, 'kind');
    const head = Bytes('l').concat(key.bytes).concat(lid);
    assert(!exists(head), 'log exists');
    op.Box.put(head, kind.bytes.concat(op.bzero(16)).concat(op.itob(Global.latestTimestamp)).concat(op.bzero(16)));
    op.Box.put(segmentName(key.bytes, lid, 0), sponsor());
  }

  /**
   * Appends a record, or the next part of one. The first byte of `data` is the record's flags: bit 7, more parts follow; bit 6, a new segment begins with this
   * record, whatever the last one lacks.
   *
   * @param key the DID's key
   * @param lid 24 bytes that name the log
   * @param expected how many entries the writer has seen
   * @param data flags and payload
   */
  logAppend(key: Account, lid: bytes<24>, expected: uint64, data: bytes): void {
    writer(key.bytes);
    const head = Bytes('l').concat(key.bytes).concat(lid);
    const kind = op.btoi(op.Box.extract(head, 0, 1));
    assert(op.Box.extract(head, 1, 8) === op.itob(expected), 'log entries');
    let number = op.btoi(op.Box.extract(head, 9, 8));
    let time = op.btoi(op.Box.extract(head, 25, 8));
    const flags = op.getByte(data, 0);
    if (kind < OPEN || (flags & NEW_SEGMENT) > 0) {
      // A new record: its time must name it alone. The parts that continue one share its time.
      assert(Global.latestTimestamp > time, 'log time');
      time = Global.latestTimestamp;
    }
    if ((flags & NEW_SEGMENT) > 0) {
      number += 1;
      op.Box.put(segmentName(key.bytes, lid, number), sponsor());
    }
    const name = segmentName(key.bytes, lid, number);
    assert(op.Box.extract(name, 0, 32) === sponsor(), 'segment payer');
    const [offset, _found] = op.Box.length(name);
    const size: uint64 = offset + data.length + RECORD_HEAD;
    assert(size <= SEGMENT, 'segment full');
    op.Box.resize(name, size);
    op.Box.replace(name, offset, op.extract(op.itob(data.length), 6, 2).concat(op.itob(time)).concat(op.itob(Global.round)).concat(data));
    op.Box.replace(
      head,
      0,
      byte((kind & 127) | (flags & OPEN))
        .concat(op.itob(expected + 1))
        .concat(op.itob(number)),
    );
    op.Box.replace(head, 25, op.itob(time).concat(op.itob(Global.round)));
  }

  /**
   * Deletes a segment of a log that is not its current one.
   *
   * @param key the DID's key
   * @param lid 24 bytes that name the log
   * @param number the segment
   */
  logPrune(key: Account, lid: bytes<24>, number: uint64): void {
    writer(key.bytes);
    assert(number < op.btoi(op.Box.extract(Bytes('l').concat(key.bytes).concat(lid), 9, 8)), 'current segment');
    const name = segmentName(key.bytes, lid, number);
    assert(exists(name), 'no such segment');
    release(name, op.Box.extract(name, 0, 32), Bytes());
  }

  /** Puts a document that is in its data box in the place of the present one. `before`: what was locked before the call, less what it paid back already. */
  private publish(key: bytes, version: uint64, name: bytes, size: uint64, payer: bytes, before: uint64): void {
    const info = infoName(key);
    let held = before;
    if (exists(key)) {
      current(key, version);
      held -= release(op.Box.extract(key, 0, 8), op.Box.extract(info, 56, 32), payer);
      op.Box.replace(info, 8, stamp());
      op.Box.replace(info, 56, payer);
    } else {
      assert(version === 0, 'did version');
      op.Box.put(info, op.itob(Global.latestTimestamp).concat(stamp()).concat(op.bzero(32)).concat(payer));
    }
    op.Box.put(
      key,
      name
        .concat(name)
        .concat(byte(1))
        .concat(op.itob(size))
        .concat(op.itob(version + 1)),
    );
    settle(held, payer);
  }

  /** Drops a staged document and pays its deposit back, unless `next` is who paid it. @returns what was paid back */
  private unstage(staged: bytes, next: bytes): uint64 {
    const before = locked();
    const payer = op.Box.extract(staged, 16, 32);
    op.Box.delete(op.Box.extract(staged, 0, 8));
    op.Box.delete(staged);
    if (payer === next) {
      return 0;
    }
    const freed: uint64 = before - locked();
    refund(freed, payer);
    return freed;
  }

  private write(name: bytes, data: bytes): void {
    const codec = op.btoi(op.Box.extract(name, 0, 1));
    assert(codec >= OPEN, 'resource sealed');
    const offset = op.btoi(op.Box.extract(name, 2, 8));
    op.Box.replace(name, offset, data);
    const end: uint64 = offset + data.length;
    const [size, _found] = op.Box.length(name);
    if (end === size) {
      op.Box.replace(name, 2, stamp());
      op.Box.replace(name, 0, byte(codec - OPEN));
    } else {
      op.Box.replace(name, 2, op.itob(end));
    }
  }
}
