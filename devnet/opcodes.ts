/**
 * The opcodes, fields and costs that the dev ledger knows: what the registry and the published did:algo program use, and little more.
 * Numbers are those of AVM 10 (go-algorand, data/transactions/logic, langspec_v10).
 */

/** What follows the opcode byte; it decides how the assembler reads operands and how the interpreter steps over them. */
export type Immediate =
  | 'none'
  | 'u8'
  | 'i8'
  | 'u8u8'
  | 'txn'
  | 'txna'
  | 'gtxn'
  | 'itxn'
  | 'global'
  | 'acct'
  | 'app'
  | 'target'
  | 'targets'
  | 'int'
  | 'bytes'
  | 'ints'
  | 'bytess';

export interface Opcode {
  name: string;
  code: number;
  immediate: Immediate;
  cost: number;
}

const ROWS: readonly (readonly [number, string, Immediate?, number?])[] = [
  [0x00, 'err'],
  [0x01, 'sha256', 'none', 35],
  [0x03, 'sha512_256', 'none', 45],
  [0x08, '+'],
  [0x09, '-'],
  [0x0a, '/'],
  [0x0b, '*'],
  [0x0c, '<'],
  [0x0d, '>'],
  [0x0e, '<='],
  [0x0f, '>='],
  [0x10, '&&'],
  [0x11, '||'],
  [0x12, '=='],
  [0x13, '!='],
  [0x14, '!'],
  [0x15, 'len'],
  [0x16, 'itob'],
  [0x17, 'btoi'],
  [0x18, '%'],
  [0x19, '|'],
  [0x1a, '&'],
  [0x1b, '^'],
  [0x1c, '~'],
  [0x20, 'intcblock', 'ints'],
  [0x21, 'intc', 'u8'],
  [0x22, 'intc_0'],
  [0x23, 'intc_1'],
  [0x24, 'intc_2'],
  [0x25, 'intc_3'],
  [0x26, 'bytecblock', 'bytess'],
  [0x27, 'bytec', 'u8'],
  [0x28, 'bytec_0'],
  [0x29, 'bytec_1'],
  [0x2a, 'bytec_2'],
  [0x2b, 'bytec_3'],
  [0x31, 'txn', 'txn'],
  [0x32, 'global', 'global'],
  [0x33, 'gtxn', 'gtxn'],
  [0x34, 'load', 'u8'],
  [0x35, 'store', 'u8'],
  [0x36, 'txna', 'txna'],
  [0x38, 'gtxns', 'txn'],
  [0x40, 'bnz', 'target'],
  [0x41, 'bz', 'target'],
  [0x42, 'b', 'target'],
  [0x43, 'return'],
  [0x44, 'assert'],
  [0x45, 'bury', 'u8'],
  [0x46, 'popn', 'u8'],
  [0x47, 'dupn', 'u8'],
  [0x48, 'pop'],
  [0x49, 'dup'],
  [0x4a, 'dup2'],
  [0x4b, 'dig', 'u8'],
  [0x4c, 'swap'],
  [0x4d, 'select'],
  [0x4e, 'cover', 'u8'],
  [0x4f, 'uncover', 'u8'],
  [0x50, 'concat'],
  [0x51, 'substring', 'u8u8'],
  [0x52, 'substring3'],
  [0x55, 'getbyte'],
  [0x56, 'setbyte'],
  [0x57, 'extract', 'u8u8'],
  [0x58, 'extract3'],
  [0x59, 'extract_uint16'],
  [0x5a, 'extract_uint32'],
  [0x5b, 'extract_uint64'],
  [0x5c, 'replace2', 'u8'],
  [0x5d, 'replace3'],
  [0x60, 'balance'],
  [0x64, 'app_global_get'],
  [0x65, 'app_global_get_ex'],
  [0x67, 'app_global_put'],
  [0x69, 'app_global_del'],
  [0x72, 'app_params_get', 'app'],
  [0x73, 'acct_params_get', 'acct'],
  [0x78, 'min_balance'],
  [0x80, 'pushbytes', 'bytes'],
  [0x81, 'pushint', 'int'],
  [0x82, 'pushbytess', 'bytess'],
  [0x83, 'pushints', 'ints'],
  [0x88, 'callsub', 'target'],
  [0x89, 'retsub'],
  [0x8a, 'proto', 'u8u8'],
  [0x8b, 'frame_dig', 'i8'],
  [0x8c, 'frame_bury', 'i8'],
  [0x8d, 'switch', 'targets'],
  [0x8e, 'match', 'targets'],
  [0x90, 'shl'],
  [0x91, 'shr'],
  [0xaf, 'bzero'],
  [0xb0, 'log'],
  [0xb1, 'itxn_begin'],
  [0xb2, 'itxn_field', 'itxn'],
  [0xb3, 'itxn_submit'],
  [0xb9, 'box_create'],
  [0xba, 'box_extract'],
  [0xbb, 'box_replace'],
  [0xbc, 'box_del'],
  [0xbd, 'box_len'],
  [0xbe, 'box_get'],
  [0xbf, 'box_put'],
  [0xd2, 'box_splice'],
  [0xd3, 'box_resize'],
];

const OPCODES: readonly Opcode[] = ROWS.map(([code, name, immediate = 'none', cost = 1]) => Object.freeze({ code, name, immediate, cost }));

export const BY_NAME: ReadonlyMap<string, Opcode> = new Map(OPCODES.map((op) => [op.name, op]));
export const BY_CODE: ReadonlyMap<number, Opcode> = new Map(OPCODES.map((op) => [op.code, op]));

/** Transaction fields by number; the first 34, which is all that a payment or an application call can fill. */
export const TXN_FIELDS = Object.freeze(
  (
    'Sender Fee FirstValid FirstValidTime LastValid Note Lease Receiver Amount CloseRemainderTo VotePK SelectionPK VoteFirst VoteLast VoteKeyDilution ' +
    'Type TypeEnum XferAsset AssetAmount AssetSender AssetReceiver AssetCloseTo GroupIndex TxID ApplicationID OnCompletion ApplicationArgs NumAppArgs ' +
    'Accounts NumAccounts ApprovalProgram ClearStateProgram RekeyTo'
  ).split(' '),
);

export const GLOBAL_FIELDS = Object.freeze(
  (
    'MinTxnFee MinBalance MaxTxnLife ZeroAddress GroupSize LogicSigVersion Round LatestTimestamp CurrentApplicationID CreatorAddress ' +
    'CurrentApplicationAddress GroupID OpcodeBudget CallerApplicationID CallerApplicationAddress AssetCreateMinBalance AssetOptInMinBalance GenesisHash'
  ).split(' '),
);

export const ACCT_FIELDS = Object.freeze(
  (
    'AcctBalance AcctMinBalance AcctAuthAddr AcctTotalNumUint AcctTotalNumByteSlice AcctTotalExtraAppPages AcctTotalAppsCreated AcctTotalAppsOptedIn ' +
    'AcctTotalAssetsCreated AcctTotalAssets AcctTotalBoxes AcctTotalBoxBytes'
  ).split(' '),
);

export const APP_FIELDS = Object.freeze(
  (
    'AppApprovalProgram AppClearStateProgram AppGlobalNumUint AppGlobalNumByteSlice AppLocalNumUint AppLocalNumByteSlice AppExtraProgramPages AppCreator ' +
    'AppAddress'
  ).split(' '),
);
