import { Contract } from '@algorandfoundation/tealscript';

/**
 * The FlexID registry: DID documents in the published did:algo box layout, write-once issuer resources, append-only status logs.
 *
 * Permissionless and immutable: the program has no update and no delete handler and no owner. Box names and values are tabulated in README.md; name lengths
 * (8, 32, 33, 57, 61) are disjoint, so a did:algo resolver never meets the boxes that are ours.
 *
 * Deposits: the protocol refuses any transaction that leaves this application under its minimum balance, so a payment of the exact increase stands first in the
 * group and nothing is checked here. What a call frees goes back, exactly, to the payer recorded when the DID was created, by an inner payment whose fee
 * the group pools.
 */
export class FlexidRegistry extends Contract {
  programVersion = 10;

  /** The last data box number handed out; never goes back, so a number never names two documents. */
  last = GlobalStateKey<uint64>({ key: 'n' });

  /** Every box of the application, by its whole name. */
  box = BoxMap<bytes, bytes>({ allowPotentialCollisions: true });

  createApplication(): void {
    this.last.value = 0;
  }

  /** A fresh data box of `size` zero bytes; returns its name. */
  private newBox(size: uint64): bytes {
    this.last.value = this.last.value + 1;
    const name = itob(this.last.value);
    this.box(name).create(size);
    return name;
  }

  /** Time of the last block and number of this one, 16 bytes. */
  private stamp(): bytes {
    return concat(itob(globals.latestTimestamp), itob(globals.round));
  }

  /** Pays what the call freed (`before` = minimum balance at its start) to the payer. */
  private refund(before: uint64, payer: bytes): void {
    const after = this.app.address.minBalance;
    if (after < before) {
      sendPayment({ receiver: castBytes<Address>(payer), amount: before - after, fee: 0 });
    }
  }

  /** The account that gets the deposits of a DID back. */
  private payer(key: bytes): bytes {
    return this.box(concat('d', key)).extract(56, 32);
  }

  /** Drops a staged document, if there is one. */
  private unstage(staged: bytes): void {
    if (this.box(staged).exists) {
      this.box(this.box(staged).extract(0, 8)).delete();
      this.box(staged).delete();
    }
  }

  /** The DID must be ready, its version the expected one. */
  private current(key: bytes, version: uint64): void {
    assert(this.box(key).extract(16, 1) === hex('01'), 'did not active');
    assert(this.box(key).extract(25, 8) === itob(version), 'did version');
  }

  /** The sender must be the DID's key or its operator, and the DID active. */
  private writer(key: bytes): void {
    assert(this.box(key).extract(16, 1) === hex('01'), 'did not active');
    assert(
      rawBytes(this.txn.sender) === key || this.box(concat('d', key)).extract(24, 32) === rawBytes(this.txn.sender),
      'not the DID key or its operator',
    );
  }

  /**
   * Stages a part of a document that does not fit one call. The part at offset 0 starts anew and drops what was staged before.
   *
   * @param size bytes of the whole document
   * @param offset where this part goes
   * @param data the part
   */
  didStage(size: uint64, offset: uint64, data: bytes): void {
    const before = this.app.address.minBalance;
    const key = rawBytes(this.txn.sender);
    const staged = concat('p', key);
    let payer = rawBytes(this.txnGroup[0].sender);
    if (offset === 0) {
      if (this.box(staged).exists) payer = this.box(staged).extract(16, 32);
      this.unstage(staged);
      const name = this.newBox(size);
      this.box(staged).value = concat(concat(name, itob(size)), payer);
    }
    this.box(this.box(staged).extract(0, 8)).replace(offset, data);
    this.refund(before, payer);
  }

  /**
   * Creates or replaces the document of the sender's DID, in one step.
   *
   * @param version the version that is replaced; 0 creates
   * @param data the document, or its last part if parts are staged
   */
  didPut(version: uint64, data: bytes): void {
    const before = this.app.address.minBalance;
    const key = rawBytes(this.txn.sender);
    const staged = concat('p', key);
    let payer = rawBytes(this.txnGroup[0].sender);
    let name: bytes;
    let size = len(data);
    if (this.box(staged).exists) {
      name = this.box(staged).extract(0, 8);
      size = btoi(this.box(staged).extract(8, 8));
      payer = this.box(staged).extract(16, 32);
      this.box(staged).delete();
    } else {
      name = this.newBox(size);
    }
    this.box(name).replace(size - len(data), data);
    if (this.box(key).exists) {
      this.current(key, version);
      this.box(this.box(key).extract(0, 8)).delete();
      this.box(concat('d', key)).replace(8, this.stamp());
      payer = this.payer(key);
    } else {
      assert(version === 0, 'did version');
      this.box(concat('d', key)).value = concat(concat(concat(itob(globals.latestTimestamp), this.stamp()), bzero(32)), payer);
    }
    this.box(key).value = concat(concat(concat(concat(name, name), hex('01')), itob(size)), itob(version + 1));
    this.refund(before, payer);
  }

  /**
   * Ends the sender's DID for good: the document goes, the metadata stays with status 2, so the DID can never be created again.
   *
   * @param version the version that is ended
   */
  didDeactivate(version: uint64): void {
    const before = this.app.address.minBalance;
    const key = rawBytes(this.txn.sender);
    this.current(key, version);
    this.unstage(concat('p', key));
    this.box(this.box(key).extract(0, 8)).delete();
    this.box(key).value = concat(concat(concat(bzero(16), hex('02')), bzero(8)), itob(version + 1));
    this.box(concat('d', key)).replace(8, this.stamp());
    this.refund(before, this.payer(key));
  }

  /**
   * Appoints the account that may write resources and logs for the sender's DID.
   *
   * @param operator the account; all zeros for none
   */
  setOperator(operator: Address): void {
    this.box(concat('d', rawBytes(this.txn.sender))).replace(24, rawBytes(operator));
  }

  /**
   * Hands the role of payer on; only the payer can.
   *
   * @param key the DID's key
   * @param payer the account that gets refunds from now on
   */
  setPayer(key: Address, payer: Address): void {
    assert(this.payer(rawBytes(key)) === rawBytes(this.txn.sender), 'not the payer');
    this.box(concat('d', rawBytes(key))).replace(56, rawBytes(payer));
  }

  /**
   * Starts a write-once resource; it is sealed at once if `data` is all of it. An unsealed one with this name is started anew.
   *
   * @param key the DID's key
   * @param oid 24 bytes that name the resource
   * @param head codec (below 128) and type, a byte each
   * @param size bytes of the whole payload
   * @param data the first part
   */
  resPut(key: Address, oid: bytes<24>, head: bytes<2>, size: uint64, data: bytes): void {
    const before = this.app.address.minBalance;
    this.writer(rawBytes(key));
    const name = concat(concat('r', rawBytes(key)), rawBytes(oid));
    const codec = getbyte(rawBytes(head), 0);
    assert(codec < 128, 'codec');
    if (this.box(name).exists) {
      assert(btoi(this.box(name).extract(0, 1)) > 127, 'resource sealed');
      this.box(name).delete();
    }
    this.box(name).create(size + 18);
    // While open, bit 7 of the codec is set and the place of the time holds the offset of the next part.
    this.box(name).replace(0, concat(setbyte(rawBytes(head), 0, codec + 128), itob(18)));
    this.write(name, data);
    this.refund(before, this.payer(rawBytes(key)));
  }

  /**
   * The next part of an unsealed resource; the part that completes it seals it.
   *
   * @param key the DID's key
   * @param oid 24 bytes that name the resource
   * @param data the part
   */
  resMore(key: Address, oid: bytes<24>, data: bytes): void {
    this.writer(rawBytes(key));
    this.write(concat(concat('r', rawBytes(key)), rawBytes(oid)), data);
  }

  private write(name: bytes, data: bytes): void {
    const codec = btoi(this.box(name).extract(0, 1));
    assert(codec > 127, 'resource sealed');
    const offset = btoi(this.box(name).extract(2, 8));
    this.box(name).replace(offset, data);
    const end = offset + len(data);
    if (end === this.box(name).size) {
      this.box(name).replace(2, this.stamp());
      this.box(name).replace(0, extract3(itob(codec - 128), 7, 1));
    } else {
      this.box(name).replace(2, itob(end));
    }
  }

  private segment(key: Address, lid: bytes<24>, number: bytes): bytes {
    return concat(concat(concat('g', rawBytes(key)), rawBytes(lid)), extract3(number, 4, 4));
  }

  /**
   * Opens a status log with its first, empty segment.
   *
   * @param key the DID's key
   * @param lid 24 bytes that name the log
   * @param kind what its records are (below 128)
   */
  logOpen(key: Address, lid: bytes<24>, kind: uint8): void {
    this.writer(rawBytes(key));
    assert(btoi(rawBytes(kind)) < 128, 'kind');
    const head = concat(concat('l', rawBytes(key)), rawBytes(lid));
    assert(!this.box(head).exists, 'log exists');
    this.box(head).value = concat(concat(concat(rawBytes(kind), bzero(16)), itob(globals.latestTimestamp)), bzero(16));
    this.box(this.segment(key, lid, bzero(8))).create(0);
  }

  /**
   * Appends a record, or the next part of one. The first byte of `data` is the record's flags: bit 7, more parts follow; bit 6, start a new segment.
   *
   * @param key the DID's key
   * @param lid 24 bytes that name the log
   * @param expected how many entries the writer has seen
   * @param data flags and payload
   */
  logAppend(key: Address, lid: bytes<24>, expected: uint64, data: bytes): void {
    this.writer(rawBytes(key));
    const head = concat(concat('l', rawBytes(key)), rawBytes(lid));
    const kind = btoi(this.box(head).extract(0, 1));
    assert(this.box(head).extract(1, 8) === itob(expected), 'log entries');
    let number = btoi(this.box(head).extract(9, 8));
    let time = btoi(this.box(head).extract(25, 8));
    const flags = getbyte(data, 0);
    if (kind < 128) {
      // A new record: its time must name it alone. The parts that continue one share its time.
      assert(globals.latestTimestamp > time, 'log time');
      time = globals.latestTimestamp;
    }
    if ((flags & 64) > 0) {
      number = number + 1;
      this.box(this.segment(key, lid, itob(number))).create(0);
    }
    const name = this.segment(key, lid, itob(number));
    const offset = this.box(name).size;
    const size = offset + len(data) + 18;
    assert(size <= 8192, 'segment full');
    this.box(name).resize(size);
    this.box(name).replace(offset, concat(concat(concat(extract3(itob(len(data)), 6, 2), itob(time)), itob(globals.round)), data));
    this.box(head).replace(
      0,
      concat(
        concat(concat(extract3(itob((kind & 127) | (flags & 128)), 7, 1), itob(expected + 1)), itob(number)),
        this.box(head).extract(17, 8),
      ),
    );
    this.box(head).replace(25, concat(itob(time), itob(globals.round)));
  }

  /**
   * Deletes a segment of a log that is not its current one.
   *
   * @param key the DID's key
   * @param lid 24 bytes that name the log
   * @param number the segment
   */
  logPrune(key: Address, lid: bytes<24>, number: uint64): void {
    const before = this.app.address.minBalance;
    this.writer(rawBytes(key));
    assert(number < btoi(this.box(concat(concat('l', rawBytes(key)), rawBytes(lid))).extract(9, 8)), 'current segment');
    const name = this.segment(key, lid, itob(number));
    assert(this.box(name).exists, 'no such segment');
    this.box(name).delete();
    this.refund(before, this.payer(rawBytes(key)));
  }
}
