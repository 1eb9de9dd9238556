import { cut, type Host, type Machine, type Ops, overwrite, type Value } from './avm-values.ts';
import { ACCT_FIELDS, APP_FIELDS, GLOBAL_FIELDS, TXN_FIELDS } from './opcodes.ts';

/** Opcodes that read or change the ledger. */
export const hostOps = ({ pop, popInt, popBytes, push, flag, byte, name }: Machine, host: Host): Ops => {
  let inner: Map<string, Value> | undefined;
  return {
    txn: () => push(host.txnField(host.groupIndex, name(TXN_FIELDS))),
    txna: () => {
      const field = name(TXN_FIELDS);
      push(host.txnField(host.groupIndex, field, byte()));
    },
    gtxn: () => {
      const index = byte();
      push(host.txnField(index, name(TXN_FIELDS)));
    },
    gtxns: () => {
      const field = name(TXN_FIELDS);
      push(host.txnField(Number(popInt()), field));
    },
    global: () => push(host.globalField(name(GLOBAL_FIELDS))),
    acct_params_get: () => {
      const { value, exists } = host.acctField(popBytes(), name(ACCT_FIELDS));
      push(value);
      flag(exists);
    },
    app_params_get: () => {
      const { value, exists } = host.appField(popInt(), name(APP_FIELDS));
      push(value);
      flag(exists);
    },
    balance: () => push(host.acctField(popBytes(), 'AcctBalance').value),
    min_balance: () => push(host.acctField(popBytes(), 'AcctMinBalance').value),
    app_global_get: () => push(host.globalGet(popBytes())),
    app_global_get_ex: () => {
      const key = popBytes();
      const { value, exists } = host.globalGetEx(popInt(), key);
      push(value);
      flag(exists);
    },
    app_global_put: () => {
      const value = pop();
      host.globalPut(popBytes(), value);
    },
    app_global_del: () => host.globalDel(popBytes()),
    log: () => host.log(popBytes()),
    box_create: () => {
      const size = popInt();
      flag(host.boxCreate(popBytes(), size));
    },
    box_extract: () => {
      const length = popInt();
      const from = popInt();
      const box = popBytes();
      const content = host.boxRead(box);
      if (content === undefined) throw new Error(`no such box 0x${Buffer.from(box).toString('hex')}`);
      push(cut(content, from, length));
    },
    box_replace: () => {
      const part = popBytes();
      const from = popInt();
      host.boxWrite(popBytes(), (content) => overwrite(content, from, part));
    },
    box_splice: () => {
      const part = popBytes();
      const length = popInt();
      const from = popInt();
      host.boxWrite(popBytes(), (content) => {
        const tail = cut(content, from + length, BigInt(content.length) - from - length);
        if (from + BigInt(part.length) > BigInt(content.length)) throw new Error('splice inserted bytes too long');
        const out = new Uint8Array(content.length);
        out.set(content.subarray(0, Number(from)));
        out.set(part, Number(from));
        out.set(tail.subarray(0, out.length - Number(from) - part.length), Number(from) + part.length);
        return out;
      });
    },
    box_del: () => flag(host.boxDelete(popBytes())),
    box_len: () => {
      const content = host.boxRead(popBytes());
      push(BigInt(content?.length ?? 0));
      flag(content !== undefined);
    },
    box_get: () => {
      const content = host.boxRead(popBytes());
      push(content ?? new Uint8Array());
      flag(content !== undefined);
    },
    box_put: () => {
      const content = popBytes();
      host.boxPut(popBytes(), content);
    },
    box_resize: () => {
      const size = popInt();
      host.boxResize(popBytes(), size);
    },
    itxn_begin: () => {
      if (inner !== undefined) throw new Error('itxn_begin without itxn_submit');
      inner = new Map();
    },
    itxn_field: () => {
      if (inner === undefined) throw new Error('itxn_field without itxn_begin');
      inner.set(name(TXN_FIELDS), pop());
    },
    itxn_submit: () => {
      if (inner === undefined) throw new Error('itxn_submit without itxn_begin');
      host.inner(inner);
      inner = undefined;
    },
  };
};
