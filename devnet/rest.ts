import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import algosdk from 'algosdk';
import * as answers from './answers.ts';
import { assemble, TealError } from './assembler.ts';
import type { Fault, Faults } from './faults.ts';
import { faucetGroup } from './genesis.ts';
import { type Receipt, Refused } from './ledger.ts';
import { type DevNode, OPEN_POOL, type Pool } from './node.ts';
import { sha512_256, splitGroup } from './wire.ts';

const MAX_BODY = 1 << 20;

/** An answer: an algosdk model, plain JSON, or raw bytes. */
type Answer =
  | { status?: number; model: algosdk.Encodable }
  | { status?: number; json: unknown }
  | { status?: number; text: string }
  | { status?: number; bytes: Uint8Array };

interface Request {
  method: string;
  path: string;
  query: URLSearchParams;
  body: Uint8Array;
}

type Handler = (request: Request, ...parts: string[]) => Answer | Promise<Answer>;

/** algod puts the data of a program that failed before the message. */
const failure = (status: number, message: string, data?: unknown): Answer => ({
  status,
  json: data === undefined ? { message } : { data, message },
});
const notFound = (message: string): Answer => failure(404, message);

/** `b64:...`, `str:...`, `int:...`, `addr:...`: the forms in which algod takes a box name. */
const boxName = (text: string): Uint8Array => {
  const [kind, ...rest] = text.split(':');
  const value = rest.join(':');
  if (kind === 'b64') return Uint8Array.from(Buffer.from(value, 'base64'));
  if (kind === 'str') return new TextEncoder().encode(value);
  if (kind === 'int') return algosdk.encodeUint64(BigInt(value));
  if (kind === 'addr') return algosdk.decodeAddress(value).publicKey;
  throw new Refused(`box name ${text} has no known encoding`);
};

const bodyOf = async (message: IncomingMessage): Promise<Uint8Array> => {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of message) {
    size += (chunk as Buffer).length;
    if (size > MAX_BODY) throw new Refused('request body too large');
    chunks.push(chunk as Buffer);
  }
  return Uint8Array.from(Buffer.concat(chunks));
};

const jsonOf = <T>(body: Uint8Array): T => {
  try {
    return JSON.parse(new TextDecoder().decode(body));
  } catch {
    throw new Refused('the body is not JSON');
  }
};

/** Method, path pattern, handler. */
type Route = readonly [string, RegExp, Handler];

/** The routes that algod has too. */
const algodRoutes = (node: DevNode, faults: Faults): readonly Route[] => {
  const { ledger } = node;
  const version = new algosdk.modelsv2.Version({
    build: new algosdk.modelsv2.BuildVersion({ branch: 'dev', buildNumber: 0, channel: 'dev', commitHash: '', major: 4, minor: 7 }),
    genesisHashB64: ledger.genesis.hash,
    genesisId: ledger.genesis.id,
    versions: ['v2'],
  });

  const submit: Handler = ({ body, path }) => {
    const reject = faults.take('reject', path);
    if (reject) return failure(400, reject.message ?? 'TransactionPool.Remember: rejected by a fault');
    const first = () => algosdk.decodeSignedTransaction(splitGroup(body)[0] as Uint8Array).txn;
    if (faults.take('hold', path)) return { json: { txId: first().txID() } };
    if (faults.take('expire', path)) {
      const { lastValid } = first();
      node.advance(Number(lastValid - ledger.last().round) + 1);
      return { json: { txId: first().txID() } };
    }
    try {
      return { model: new algosdk.modelsv2.PostTransactionsResponse({ txid: node.submit(body) }) };
    } catch (error) {
      if (error instanceof Refused && error.pooled) throw new Refused(`TransactionPool.Remember: ${error.message}`, { data: error.data });
      throw error;
    }
  };

  const pendingOf: Handler = (_request, txid) => {
    const waiting = node.pooled(txid as string);
    if (waiting) return { model: answers.pending(ledger, waiting.receipt, false, waiting.error) };
    const receipt = node.view().receipt(txid as string);
    const found = receipt && receipt.round <= node.view().last().round && receipt.round + 1000n > node.view().last().round;
    if (!found) return notFound('could not find the transaction in the transaction pool or in the last 1000 confirmed rounds');
    return { model: answers.pending(ledger, receipt as Receipt, true) };
  };

  const boxes: Handler = ({ query }, id) => {
    const next = query.get('next');
    const max = Number(query.get('max') ?? 0);
    const app = ledger.state.app(BigInt(id as string));
    if (max > 0 && app !== undefined && app.boxes.size > max) return failure(400, 'Result limit exceeded');
    if (query.get('round') !== null && BigInt(query.get('round') as string) < node.view().last().round)
      return failure(400, 'given round is no longer available; use a more recent round');
    const page = answers.boxPage(node.view(), BigInt(id as string), {
      prefix: query.get('prefix') ? boxName(query.get('prefix') as string) : new Uint8Array(),
      after: next ? Buffer.from(boxName(next)).toString('hex') : undefined,
      limit: Number(query.get('limit') ?? 0),
      values: query.get('include') === 'values',
    });
    return page ? { model: page } : notFound('application does not exist');
  };

  return [
    ['GET', /^\/health$/, () => ({ json: null })],
    ['GET', /^\/ready$/, () => ({ json: null })],
    ['GET', /^\/versions$/, () => ({ model: version })],
    ['GET', /^\/genesis$/, () => ({ text: ledger.genesis.document })],
    ['GET', /^\/v2\/status$/, () => ({ model: answers.status(node.view()) })],
    [
      'GET',
      /^\/v2\/status\/wait-for-block-after\/(\d+)$/,
      async (_request, round) => {
        await node.blockAfter(BigInt(round as string));
        return { model: answers.status(node.view()) };
      },
    ],
    ['GET', /^\/v2\/transactions\/params$/, () => ({ model: answers.transactionParams(node.view(), node.pool.feePerByte) })],
    ['POST', /^\/v2\/transactions$/, submit],
    ['GET', /^\/v2\/transactions\/pending\/([A-Z2-7]+)$/, pendingOf],
    ['POST', /^\/v2\/transactions\/simulate$/, ({ body }) => ({ model: answers.simulate(ledger, body) })],
    [
      'POST',
      /^\/v2\/teal\/compile$/,
      ({ body }) => {
        const { bytes } = assemble(new TextDecoder().decode(body));
        const hash = algosdk.encodeAddress(sha512_256(new TextEncoder().encode('Program'), bytes));
        return { json: { hash, result: Buffer.from(bytes).toString('base64') } };
      },
    ],
    [
      'GET',
      /^\/v2\/accounts\/([A-Z2-7]{58})$/,
      (_request, address) => {
        if (!algosdk.isValidAddress(address as string)) return failure(400, 'failed to parse the address');
        return { model: answers.account(node.view(), address as string) };
      },
    ],
    [
      'GET',
      /^\/v2\/applications\/(\d+)$/,
      (_request, id) => {
        const model = answers.application(node.view(), BigInt(id as string));
        return model ? { model } : notFound('application does not exist');
      },
    ],
    [
      'GET',
      /^\/v2\/applications\/(\d+)\/box$/,
      ({ query }, id) => {
        const model = answers.box(node.view(), BigInt(id as string), boxName(query.get('name') ?? ''));
        return model ? { model } : notFound('box not found');
      },
    ],
    ['GET', /^\/v2\/applications\/(\d+)\/boxes$/, boxes],
  ];
};

const blockRoutes = (node: DevNode): readonly Route[] => {
  const blockOf = (round: string) => node.view().blocks[Number(round)];
  return [
    [
      'GET',
      /^\/v2\/blocks\/(\d+)$/,
      (_request, round) => {
        const found = blockOf(round as string);
        return found ? { bytes: algosdk.msgpackRawEncode(answers.block(node.ledger, found)) } : notFound('ledger does not have entry');
      },
    ],
    [
      'GET',
      /^\/v2\/blocks\/(\d+)\/hash$/,
      (_request, round) => {
        const found = blockOf(round as string);
        return found ? { json: { blockHash: algosdk.encodeAddress(found.hash).slice(0, 52) } } : notFound('ledger does not have entry');
      },
    ],
    [
      'GET',
      /^\/v2\/blocks\/(\d+)\/txids$/,
      (_request, round) => {
        const found = blockOf(round as string);
        return found ? { json: { blockTxids: found.txids } } : notFound('ledger does not have entry');
      },
    ],
  ];
};

/** The dev ledger's own routes: faults, the pool, money. */
const devnetRoutes = (node: DevNode, faults: Faults): readonly Route[] => {
  const { ledger } = node;
  return [
    [
      'POST',
      /^\/devnet\/faults$/,
      ({ body }) => {
        faults.add(jsonOf<Fault>(body));
        return { json: {} };
      },
    ],
    [
      'DELETE',
      /^\/devnet\/faults$/,
      () => {
        faults.clear();
        node.lag(0);
        node.pool = OPEN_POOL;
        return { json: {} };
      },
    ],
    [
      'POST',
      /^\/devnet\/pool$/,
      ({ body }) => {
        node.pool = { ...OPEN_POOL, ...jsonOf<Partial<Pool>>(body) };
        return { json: {} };
      },
    ],
    [
      'POST',
      /^\/devnet\/lag$/,
      ({ body }) => {
        node.lag(jsonOf<{ rounds: number }>(body).rounds);
        return { json: {} };
      },
    ],
    [
      'POST',
      /^\/devnet\/advance$/,
      ({ body }) => {
        node.advance(jsonOf<{ rounds: number }>(body).rounds);
        return { json: { round: Number(ledger.last().round) } };
      },
    ],
    [
      'POST',
      /^\/devnet\/fund$/,
      ({ body }) => {
        const { address, amount } = jsonOf<{ address: string; amount: number }>(body);
        return { json: { txId: node.submit(faucetGroup(ledger.genesis, ledger.last().round, address, BigInt(amount)), true) } };
      },
    ],
    [
      'POST',
      /^\/devnet\/corrupt$/,
      ({ body }) => {
        const { app, name, value } = jsonOf<{ app: number; name: string; value: string | null }>(body);
        const found = ledger.state.app(BigInt(app));
        if (!found) return notFound('application does not exist');
        ledger.state.setBox(
          found,
          Uint8Array.from(Buffer.from(name, 'base64')),
          value === null ? undefined : Uint8Array.from(Buffer.from(value, 'base64')),
        );
        ledger.state.settle();
        return { json: {} };
      },
    ],
    [
      'GET',
      /^\/devnet\/costs\/([A-Z2-7]+)$/,
      (_request, txid) => {
        const receipt = ledger.receipt(txid as string);
        return receipt ? { json: { cost: receipt.cost } } : notFound('no such transaction');
      },
    ],
  ];
};

const write = (response: ServerResponse, answer: Answer, msgpack: boolean): void => {
  const send = (type: string, body: string | Uint8Array): void => {
    response.writeHead(answer.status ?? 200, { 'content-type': type });
    response.end(body);
  };
  if ('model' in answer) {
    if (msgpack) send('application/msgpack', algosdk.encodeMsgpack(answer.model));
    else send('application/json', algosdk.encodeJSON(answer.model));
  } else if ('bytes' in answer) send('application/msgpack', answer.bytes);
  else if ('text' in answer) send('application/json', answer.text);
  else send('application/json', JSON.stringify(answer.json));
};

/** An algod-compatible HTTP server over a node. Every request but `/health`, `/ready` and `/genesis` needs the token, as with algod. */
export const createRest = (node: DevNode, faults: Faults, token: string): Server => {
  const routes = [...algodRoutes(node, faults), ...blockRoutes(node), ...devnetRoutes(node, faults)];

  const answer = async (message: IncomingMessage): Promise<{ answer: Answer; msgpack: boolean }> => {
    const url = new URL(message.url ?? '/', 'http://devnet');
    const method = message.method ?? 'GET';
    const path = url.pathname;
    const open = ['/health', '/ready', '/genesis'].includes(path);
    const given = message.headers['x-algo-api-token'] ?? message.headers.authorization?.replace(/^Bearer /, '');
    if (!open && given !== token) return { answer: failure(401, 'Invalid API Token'), msgpack: false };
    for (const [verb, pattern, handler] of routes) {
      const match = verb === method ? pattern.exec(path) : null;
      if (!match) continue;
      const body = await bodyOf(message);
      const msgpack = url.searchParams.get('format') === 'msgpack' || path.endsWith('/simulate');
      return { answer: await handler({ method, path, query: url.searchParams, body }, ...match.slice(1)), msgpack };
    }
    return { answer: notFound(`${method} ${path} is not implemented here`), msgpack: false };
  };

  return createServer(async (message, response) => {
    const path = (message.url ?? '/').split('?')[0] as string;
    const target = path.startsWith('/devnet/') ? 'none' : path;
    const fault = (kind: Fault['kind']): Fault | undefined => (target === 'none' ? undefined : faults.take(kind, target));
    if (fault('drop')) {
      message.socket.destroy();
      return;
    }
    const delay = fault('delay');
    if (delay) await new Promise((resolve) => setTimeout(resolve, delay.ms ?? 1000));
    try {
      const status = fault('status');
      if (status) {
        message.resume();
        write(response, failure(status.status ?? 503, status.message ?? 'a fault'), false);
        return;
      }
      const done = await answer(message);
      if (fault('drop-after')) message.socket.destroy();
      else write(response, done.answer, done.msgpack);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      write(
        response,
        failure(
          error instanceof Refused || error instanceof TealError || error instanceof RangeError || error instanceof SyntaxError ? 400 : 500,
          text,
          error instanceof Refused ? error.data : undefined,
        ),
        false,
      );
    }
  });
};
