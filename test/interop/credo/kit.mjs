import { createCipheriv, createDecipheriv, randomBytes, randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { createServer } from 'node:http';
import {
  EventEmitter as AgentEvents,
  InjectionSymbols,
  JsonTransformer,
  Kms,
  RecordDuplicateError,
  RecordNotFoundError,
  StorageVersionRecord,
} from '@credo-ts/core';
import { DidCommEventTypes, DidCommModuleConfig, DidCommTransportService } from '@credo-ts/didcomm';
import sodium from 'libsodium-wrappers';
import WebSocket, { WebSocketServer } from 'ws';

/** What a Credo agent needs of its surroundings, in memory: keys by libsodium, records, and doors for HTTP and WebSockets. */

await sodium.ready;

const encode = (bytes) => Buffer.from(bytes).toString('base64url');
const decode = (text) => new Uint8Array(Buffer.from(text, 'base64url'));
const without = ({ d: _secret, ...rest }) => rest;

/** Ed25519 and X25519 keys; what DIDComm v1 envelopes and signatures ask for and nothing else. */
class Keys {
  backend = 'memory';
  #held = new Map();

  isOperationSupported(_context, { operation, type, privateJwk, algorithm, encryption, decryption, keyAgreement }) {
    switch (operation) {
      case 'deleteKey':
      case 'randomBytes':
        return true;
      case 'createKey':
        return type.kty === 'OKP';
      case 'importKey':
        return privateJwk.kty === 'OKP';
      case 'sign':
      case 'verify':
        return algorithm === 'EdDSA' || algorithm === 'Ed25519';
      default:
        return keyAgreement ? keyAgreement.algorithm === 'ECDH-HSALSA20' : (encryption ?? decryption)?.algorithm === 'C20P';
    }
  }

  async getPublicKey(_context, keyId) {
    const held = this.#held.get(keyId);
    return held ? without(held) : null;
  }

  async createKey(_context, { keyId = randomUUID(), type }) {
    if (this.#held.has(keyId)) throw new Kms.KeyManagementKeyExistsError(keyId, this.backend);
    const seed = sodium.randombytes_buf(32);
    const x = type.crv === 'X25519' ? sodium.crypto_scalarmult_base(seed) : sodium.crypto_sign_seed_keypair(seed).publicKey;
    const held = { kty: 'OKP', crv: type.crv, x: encode(x), d: encode(seed), kid: keyId };
    this.#held.set(keyId, held);
    return { keyId, publicJwk: without(held) };
  }

  async importKey(_context, { privateJwk }) {
    const keyId = privateJwk.kid ?? randomUUID();
    const held = { ...privateJwk, kid: keyId };
    this.#held.set(keyId, held);
    return { keyId, publicJwk: without(held) };
  }

  async deleteKey(_context, { keyId }) {
    return this.#held.delete(keyId);
  }

  randomBytes(_context, { length }) {
    return new Uint8Array(randomBytes(length));
  }

  #own(keyId) {
    const held = this.#held.get(keyId);
    if (!held) throw new Kms.KeyManagementKeyNotFoundError(keyId, [this.backend]);
    return held;
  }

  /** The X25519 form of an own key. */
  #agreement(keyId) {
    const { crv, x, d } = this.#own(keyId);
    if (crv === 'X25519') return { secret: decode(d), open: decode(x) };
    const { privateKey, publicKey } = sodium.crypto_sign_seed_keypair(decode(d));
    return {
      secret: sodium.crypto_sign_ed25519_sk_to_curve25519(privateKey),
      open: sodium.crypto_sign_ed25519_pk_to_curve25519(publicKey),
    };
  }

  async sign(_context, { keyId, data }) {
    return { signature: sodium.crypto_sign_detached(data, sodium.crypto_sign_seed_keypair(decode(this.#own(keyId).d)).privateKey) };
  }

  async verify(_context, { key, data, signature }) {
    const publicJwk = key.publicJwk ?? without(this.#own(key.keyId));
    return sodium.crypto_sign_verify_detached(signature, data, decode(publicJwk.x)) ? { verified: true, publicJwk } : { verified: false };
  }

  async encrypt(_context, { key, encryption, data }) {
    if (key.keyAgreement) {
      const theirs = decode(key.keyAgreement.externalPublicJwk.x);
      if (!key.keyAgreement.keyId) return { encrypted: sodium.crypto_box_seal(data, theirs) };
      const iv = sodium.randombytes_buf(24);
      return { encrypted: sodium.crypto_box_easy(data, iv, theirs, this.#agreement(key.keyAgreement.keyId).secret), iv };
    }
    const iv = encryption.iv ?? new Uint8Array(randomBytes(12));
    const cipher = createCipheriv('chacha20-poly1305', decode(key.privateJwk.k), iv, { authTagLength: 16 });
    if (encryption.aad) cipher.setAAD(encryption.aad);
    const encrypted = new Uint8Array(Buffer.concat([cipher.update(data), cipher.final()]));
    return { encrypted, iv, tag: new Uint8Array(cipher.getAuthTag()) };
  }

  async decrypt(_context, { key, decryption, encrypted }) {
    if (key.keyAgreement) {
      const { secret, open } = this.#agreement(key.keyAgreement.keyId);
      const theirs = key.keyAgreement.externalPublicJwk;
      return {
        data: theirs
          ? sodium.crypto_box_open_easy(encrypted, decryption.iv, decode(theirs.x), secret)
          : sodium.crypto_box_seal_open(encrypted, open, secret),
      };
    }
    const cipher = createDecipheriv('chacha20-poly1305', decode(key.privateJwk.k), decryption.iv, { authTagLength: 16 });
    if (decryption.aad) cipher.setAAD(decryption.aad);
    cipher.setAuthTag(decryption.tag);
    return { data: new Uint8Array(Buffer.concat([cipher.update(encrypted), cipher.final()])) };
  }
}

/** What a database takes at the least: others go on meanwhile. */
const aMoment = () => new Promise((resolve) => setTimeout(resolve, 3));

/**
 * Records in memory, which answer as late as a database would. An id counts only within its type: an out-of-band record and a connection must not be taken for
 * each other.
 */
class Records {
  supportsCursorPagination = false;
  #rows = new Map();

  #key = (context, type, id) => `${context.contextCorrelationId} ${type} ${id}`;
  #revive({ value, tags }, type) {
    const record = JsonTransformer.fromJSON(structuredClone(value), type);
    record.replaceTags(structuredClone(tags));
    return record;
  }
  #put(key, record) {
    record.updatedAt = new Date();
    const value = JSON.parse(JSON.stringify(JsonTransformer.toJSON(record)));
    this.#rows.set(key, { value, tags: structuredClone(record.getTags()) });
  }

  async save(context, record) {
    await aMoment();
    const key = this.#key(context, record.type, record.id);
    if (this.#rows.has(key)) throw new RecordDuplicateError('there is one already', { recordType: record.type });
    this.#put(key, record);
  }

  async update(context, record) {
    await aMoment();
    const key = this.#key(context, record.type, record.id);
    if (!this.#rows.has(key)) throw new RecordNotFoundError('there is none', { recordType: record.type });
    this.#put(key, record);
  }

  async delete(context, record) {
    await this.deleteById(context, record.constructor, record.id);
  }

  async deleteById(context, type, id) {
    if (!this.#rows.delete(this.#key(context, type.type, id))) throw new RecordNotFoundError('there is none', { recordType: type.type });
  }

  async getById(context, type, id) {
    await aMoment();
    const row = this.#rows.get(this.#key(context, type.type, id));
    if (row) return this.#revive(row, type);
    // a store that begins now is of the framework's own version
    if (type === StorageVersionRecord) return new StorageVersionRecord({ storageVersion: StorageVersionRecord.frameworkStorageVersion });
    throw new RecordNotFoundError('there is none', { recordType: type.type });
  }

  async getAll(context, type) {
    return this.findByQuery(context, type, {});
  }

  async findByQuery(context, type, query, { offset = 0, limit } = {}) {
    await aMoment();
    const prefix = this.#key(context, type.type, '');
    const found = [...this.#rows].filter(([key, row]) => key.startsWith(prefix) && fits(row.tags, query)).map(([, row]) => row);
    return found.slice(offset, limit === undefined ? undefined : offset + limit).map((row) => this.#revive(row, type));
  }
}

function fits(tags, { $and = [], $or, $not, ...plain }) {
  for (const [name, wanted] of Object.entries(plain)) {
    if (wanted === undefined) continue;
    const has = [tags[name]].flat();
    if (![wanted].flat().every((one) => has.includes(one))) return false;
  }
  return $and.every((one) => fits(tags, one)) && ($or?.some((one) => fits(tags, one)) ?? true) && !($not && fits(tags, $not));
}

/** Registers keys and records with the agent. */
export class MemoryModule {
  register(manager) {
    manager.registerInstance(InjectionSymbols.StorageService, new Records());
    manager.resolve(Kms.KeyManagementModuleConfig).registerBackend(new Keys());
  }
  async onProvisionContext() {}
  async onDeleteContext() {}
}

/** Takes envelopes by POST, and answers on the same connection where Credo wants to. */
export class HttpDoor {
  /** Set once it listens. */
  url;
  #server;

  constructor(port) {
    this.url = `http://127.0.0.1:${port}`;
    this.port = port;
  }

  async start(context) {
    const transport = context.dependencyManager.resolve(DidCommTransportService);
    const events = context.dependencyManager.resolve(AgentEvents);
    const config = context.dependencyManager.resolve(DidCommModuleConfig);
    this.#server = createServer(async (request, response) => {
      let message;
      try {
        const chunks = [];
        for await (const chunk of request) chunks.push(chunk);
        message = JSON.parse(Buffer.concat(chunks).toString('utf8'));
      } catch {
        response.writeHead(400).end();
        return;
      }
      const session = {
        id: randomUUID(),
        type: 'http',
        async send(_context, envelope) {
          response.writeHead(200, { 'content-type': config.didCommMimeType }).end(JSON.stringify(envelope));
        },
        async close() {
          if (!response.writableEnded) response.writeHead(202).end();
        },
      };
      const subscription = events.observable(DidCommEventTypes.DidCommMessageProcessed).subscribe(({ payload }) => {
        if (payload.encryptedMessage === message) finish();
      });
      const timer = setTimeout(finish, 5000);
      function finish() {
        clearTimeout(timer);
        subscription.unsubscribe();
        transport.removeSession(session);
        if (!response.writableEnded) response.writeHead(202).end();
      }
      events.emit(context, { type: DidCommEventTypes.DidCommMessageReceived, payload: { message, session } });
    });
    await new Promise((resolve) => this.#server.listen(this.port, '127.0.0.1', resolve));
  }

  async stop() {
    this.#server?.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Takes envelopes from WebSockets, and answers on them as long as they are open. */
export class WebSocketDoor {
  #server;

  constructor(port) {
    this.url = `ws://127.0.0.1:${port}`;
    this.port = port;
  }

  async start(context) {
    const transport = context.dependencyManager.resolve(DidCommTransportService);
    const events = context.dependencyManager.resolve(AgentEvents);
    this.#server = new WebSocketServer({ port: this.port, host: '127.0.0.1' });
    this.#server.on('connection', (socket) => {
      const session = {
        id: randomUUID(),
        type: 'WebSocket',
        async send(_context, envelope) {
          if (socket.readyState !== socket.OPEN) throw new Error('the socket is closed');
          socket.send(JSON.stringify(envelope));
        },
        async close() {
          socket.close();
        },
      };
      socket.on('message', (data) => {
        const message = JSON.parse(data.toString('utf8'));
        events.emit(context, { type: DidCommEventTypes.DidCommMessageReceived, payload: { message, session } });
      });
      socket.on('close', () => transport.removeSession(session));
      socket.on('error', () => undefined);
    });
    await new Promise((resolve) => this.#server.on('listening', resolve));
  }

  async stop() {
    for (const socket of this.#server?.clients ?? []) socket.terminate();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

const absent = () => {
  throw new Error('this agent keeps no files');
};

/** No files, and Node.js's fetch. */
export const dependencies = {
  FileSystem: class {
    dataPath = '/nonexistent';
    cachePath = '/nonexistent';
    tempPath = '/nonexistent';
    exists = async () => false;
    createDirectory = absent;
    copyFile = absent;
    write = absent;
    read = absent;
    delete = absent;
    downloadToFile = absent;
  },
  EventEmitterClass: EventEmitter,
  fetch: globalThis.fetch,
  WebSocketClass: WebSocket,
};
