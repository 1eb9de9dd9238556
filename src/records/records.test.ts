import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { describe, test } from 'node:test';
import { registry, type Some } from '../../test/support/steps.ts';
import { type LoadedRecord, viewOf } from '../kernel/record.ts';
import { edgeDeviceId } from '../mediation/names.ts';

/** What each kind of record shows of itself: to controllers, in ordinary webhooks, and to the search. Whatever is called SECRET is in no view. */

const AT = Date.UTC(2030, 0, 2, 3, 4, 5);
const TIME = '2030-01-02T03:04:05.000000Z';

interface Row {
  readonly category: string;
  readonly record: Some;
  readonly view: object;
  /** The ordinary webhook, where it is less. */
  readonly terse?: object;
  readonly tags: object;
  readonly hidden?: boolean;
}

const ROWS: readonly Row[] = [
  {
    category: 'oca_bundle',
    record: {
      id: 'b1',
      role: 'holder',
      state: 'active',
      value: {
        ...{ cred_def_id: 'cd', issuer_id: 'did:algo:issuer' },
        bundle: {
          capture_base: { attributes: { name: 'Text' } },
          overlays: [{ type: 'spec/overlays/meta/1.0', language: 'en', name: 'Card' }],
        },
      },
    },
    view: {
      ...{ oca_bundle_id: 'b1', role: 'holder', cred_def_id: 'cd', issuer_id: 'did:algo:issuer', updated_at: TIME },
      look: { names: { en: { name: 'Card' } }, labels: {} },
    },
    terse: { oca_bundle_id: 'b1', role: 'holder', cred_def_id: 'cd', issuer_id: 'did:algo:issuer', updated_at: TIME },
    tags: { cred_def_id: 'cd' },
  },
  {
    category: 'short_link',
    record: {
      id: 'l1',
      state: 'open',
      value: { oob_id: 'o1', code: 'SECRET', short_url: 'https://agent.example/i/c', ends: AT, max_uses: 2, uses: 1 },
    },
    view: {
      ...{ short_link_id: 'l1', state: 'open', created_at: TIME, oob_id: 'o1', short_url: 'https://agent.example/i/c' },
      ...{ expires_at: TIME, max_uses: 2, uses: 1 },
    },
    tags: { oob_id: 'o1' },
  },
  {
    category: 'audit',
    record: {
      id: 'a1',
      state: 'written',
      value: {
        ...{ call: 'c1', operation: 'post_wallet_did_create', who: { kind: 'token', token: 't1' }, address: 'hash' },
        ...{ outcome: 'committed', record: { category: 'did', id: 'd1' } },
      },
    },
    view: {
      ...{ audit_id: 'a1', time: TIME, call_id: 'c1', operation_id: 'post_wallet_did_create', who: { kind: 'token', token: 't1' } },
      ...{ address: 'hash', outcome: 'committed', record: { category: 'did', id: 'd1' } },
    },
    tags: {},
  },
  {
    category: 'basic_message',
    record: {
      id: 'm1',
      state: 'received',
      connection: 'c1',
      value: { content: 'hello', sent_time: 'now', thread_id: 't1' },
    },
    view: {
      ...{
        message_id: 'm1',
        state: 'received',
        connection_id: 'c1',
        created_at: TIME,
        content: 'hello',
        sent_time: 'now',
        thread_id: 't1',
      },
    },
    tags: {},
  },
  {
    category: 'reservation',
    record: {
      id: 'r1',
      state: 'approved',
      value: { wallet_name: 'alice', contact: 'a@example', password: 'SECRET', ends: AT },
    },
    view: {
      ...{ reservation_id: 'r1', state: 'approved', created_at: TIME, updated_at: TIME },
      ...{ wallet_name: 'alice', contact: 'a@example', expires_at: TIME },
    },
    tags: {},
  },
  {
    category: 'credential_batch',
    record: {
      id: 'b1',
      state: 'running',
      value: { name: 'people', cred_def_id: 'cd', columns: ['name'], total: 3, offered: 1, failed: 0, next: 1, busy: true },
    },
    view: {
      ...{ batch_id: 'b1', state: 'running', created_at: TIME, updated_at: TIME, name: 'people', cred_def_id: 'cd' },
      ...{ total: 3, offered: 1, failed: 0 },
    },
    tags: { cred_def_id: 'cd' },
  },
  {
    category: 'credential_batch_row',
    record: { id: 'b1.0', state: 'offered', value: { batch: 'b1', number: 0, cells: ['SECRET'], cred_ex_id: 'x1' } },
    view: { row_id: 'b1.0', state: 'offered', number: 0, cred_ex_id: 'x1' },
    tags: { batch: 'b1' },
  },
  {
    category: 'edv',
    record: {
      id: 'z1v',
      state: 'active',
      value: {
        controller: 'did:key:o',
        referenceId: 'primary',
        keyAgreementKey: { id: 'k', type: 'K' },
        hmac: { id: 'h', type: 'H' },
        sequence: 2,
        quota: 1000,
        bytes: 10,
        documents: 1,
        ended: ['did:key:s'],
      },
    },
    view: {
      ...{ state: 'active', created_at: TIME, updated_at: TIME, vault_id: 'z1v', controller: 'did:key:o', referenceId: 'primary' },
      ...{ keyAgreementKey: { id: 'k', type: 'K' }, hmac: { id: 'h', type: 'H' }, sequence: 2 },
      ...{ quota_bytes: 1000, bytes: 10, documents: 1 },
    },
    tags: { controller: 'did:key:o', reference: 'did:key:o primary' },
  },
  {
    category: 'edv_document',
    record: {
      id: 'z1v.z1d',
      state: 'stored',
      value: {
        vault: 'z1v',
        size: 10,
        document: {
          id: 'z1d',
          sequence: 0,
          indexed: [
            {
              hmac: { id: 'h', type: 'H' },
              sequence: 0,
              attributes: [
                { name: 'n', value: 'v' },
                { name: 'n', value: 'w' },
                { name: 'u', value: 'x', unique: true },
              ],
            },
          ],
          jwe: { recipients: [{ header: { kid: 'did:key:o#k' } }, { header: { kid: 'did:key:s#k' } }, { header: { kid: 'did:key:s#l' } }] },
        },
      },
    },
    view: { id: 'z1d', sequence: 0 },
    tags: {
      vault: 'z1v',
      '= z1v h n': ['v', 'w'],
      '? z1v h n': '1',
      '= z1v h u': ['x'],
      '! z1v h u': ['x'],
      '? z1v h u': '1',
      'recipient z1v': ['did:key:o', 'did:key:s'],
    },
  },
  {
    category: 'edv_chunk',
    record: { id: 'z1v.z1d.0', state: 'stored', value: { document: 'z1v.z1d', index: 0, sequence: 1, size: 5, blob: 'hub/b' } },
    view: {},
    tags: { document: 'z1v.z1d', blob: 'hub/b' },
  },
  {
    category: 'edv_revocation',
    record: { id: 'z1v.h', state: 'revoked', value: { vault: 'z1v', capability: 'urn:uuid:1', delegator: 'did:key:o', expires: AT } },
    view: {},
    tags: { vault: 'z1v' },
  },
  {
    category: 'hub_controller',
    record: { id: 'did:key:o', state: 'registered', value: { controller: 'did:key:o', allowed: 2, made: 1, quota: 1000 } },
    view: {
      ...{ state: 'registered', created_at: TIME, updated_at: TIME },
      ...{ controller: 'did:key:o', vaults: 2, made: 1, quota_bytes: 1000 },
    },
    tags: {},
  },
  {
    category: 'hub_grant',
    record: {
      id: 'g1',
      state: 'granted',
      role: 'service',
      connection: 'c1',
      value: {
        connection_id: 'c1',
        thread_id: 't1',
        controller: 'did:key:s',
        purpose: 'to play',
        capabilities: [{ id: 'urn:uuid:1' }],
        expires: AT,
      },
    },
    view: {
      ...{ state: 'granted', created_at: TIME, updated_at: TIME, grant_id: 'g1', role: 'service', connection_id: 'c1', thread_id: 't1' },
      ...{ controller: 'did:key:s', purpose: 'to play', capabilities: [{ id: 'urn:uuid:1' }], expires_at: TIME },
    },
    tags: { thread: 't1', thread_id: 't1', connection_id: 'c1' },
  },
  {
    category: 'action-menu',
    record: { id: 'c1', state: 'active', value: { connection_id: 'c1', menu: { title: 'Menu' } } },
    view: { result: { title: 'Menu' } },
    tags: { connection_id: 'c1' },
  },
  {
    category: 'agent_config',
    record: { id: 'a1', value: { defaults: { label: 'Firm' } } },
    view: { defaults: { label: 'Firm' } },
    tags: {},
  },
  {
    category: 'decision',
    record: {
      id: 'd1',
      state: 'accepted',
      connection: 'c1',
      value: {
        point: 'presentation-request',
        type: 'https://didcomm.org/present-proof/2.0/request-presentation',
        role: 'prover',
        handler_id: 'h1',
        approvers: ['c2'],
        approvals: 1,
        on_timeout: 'hold',
        deadline: AT,
        subject: { protocol: 'present-proof-2.0', category: 'pres_ex_v20', id: 'x1' },
        accept: 'present',
        reject: { command: 'report-problem' },
        otherwise: 'hold',
        thread_id: 't1',
        record: { pres_ex_id: 'x1' },
        votes: [{ by: 'connection c2', action: 'continue', at: AT }],
      },
    },
    view: {
      state: 'accepted',
      created_at: TIME,
      updated_at: TIME,
      decision_id: 'd1',
      point: 'presentation-request',
      type: 'https://didcomm.org/present-proof/2.0/request-presentation',
      role: 'prover',
      handler_id: 'h1',
      connection_id: 'c1',
      thread_id: 't1',
      record: { pres_ex_id: 'x1' },
      deadline: TIME,
      on_timeout: 'hold',
      approvers: ['c2'],
      approvals: 1,
      decided: [{ by: 'connection c2', action: 'continue', at: TIME }],
    },
    tags: { thread_id: 't1', handler_id: 'h1', point: 'presentation-request' },
  },
  {
    category: 'cred_def',
    record: {
      id: 'r1',
      state: 'finished',
      value: {
        issuerId: 'did:algo:i',
        schemaId: 's1',
        tag: 't',
        cred_def_id: 'cd1',
        credential_definition: { type: 'CL' },
        schema: { issuerId: 'did:algo:i', name: 'degree', version: '1.0' },
        verkey: 'V',
      },
    },
    view: {
      credential_definition_state: { state: 'finished', credential_definition_id: 'cd1', credential_definition: { type: 'CL' } },
      registration_metadata: {},
      credential_definition_metadata: {},
    },
    tags: {
      cred_def_id: 'cd1',
      issuer_id: 'did:algo:i',
      schema_id: 's1',
      schema_issuer_id: 'did:algo:i',
      schema_name: 'degree',
      schema_version: '1.0',
    },
  },
  {
    category: 'cred_rev',
    record: {
      id: 'r1',
      state: 'issued',
      connection: 'c1',
      value: {
        ...{ registry: 'g1', rev_reg_id: 'did:i/R', cred_def_id: 'cd1', index: 7, cred_ex_id: 'x1', cred_ex_version: '2' },
        pending: { notice: { connection: 'c1', version: 'v1_0' } },
      },
    },
    view: {
      state: 'issued',
      created_at: TIME,
      updated_at: TIME,
      record_id: 'r1',
      cred_ex_id: 'x1',
      rev_reg_id: 'did:i/R',
      cred_def_id: 'cd1',
      cred_rev_id: '7',
      cred_ex_version: '2',
    },
    tags: { registry: 'g1', cred_ex_id: 'x1', pending: ['g1', 'any'] },
  },
  {
    category: 'rev_reg',
    record: {
      id: 'g1',
      state: 'active',
      value: {
        ...{ issuerId: 'did:i', cred_def_id: 'cd1', tag: '0', max_cred_num: 8, verkey: 'V', use: 'issuing', ready: true },
        ...{ rev_reg_id: 'did:i/R', former_ids: ['did:i/Q'], status: { accumulator: '1 A', revoked: 'AA' } },
        definition: {
          ...{ issuerId: 'did:i', revocDefType: 'CL_ACCUM', credDefId: 'cd1', tag: '0' },
          value: { publicKeys: {}, maxCredNum: 8, tailsHash: 'h', tailsLocation: 'https://t/h' },
        },
      },
    },
    view: {
      state: 'active',
      created_at: TIME,
      updated_at: TIME,
      record_id: 'g1',
      cred_def_id: 'cd1',
      issuer_did: 'did:i',
      max_cred_num: 8,
      revoc_def_type: 'CL_ACCUM',
      revoc_reg_id: 'did:i/R',
      revoc_reg_def: {
        ...{ ver: '1.0', id: 'did:i/R', revocDefType: 'CL_ACCUM', tag: '0', credDefId: 'cd1' },
        value: { issuanceType: 'ISSUANCE_BY_DEFAULT', publicKeys: {}, maxCredNum: 8, tailsHash: 'h', tailsLocation: 'https://t/h' },
      },
      revoc_reg_entry: { ver: '1.0', value: { accum: '1 A' } },
      tag: '0',
      tails_hash: 'h',
      tails_local_path: 'https://t/h',
      tails_public_uri: 'https://t/h',
      pending_pub: [],
    },
    tags: { rev_reg_id: ['did:i/R', 'did:i/Q'], cred_def_id: 'cd1', issuing_for: 'cd1', used_for: 'cd1' },
  },
  {
    category: 'transaction',
    record: {
      id: 't1',
      state: 'transaction_endorsed',
      role: 'author',
      connection: 'c1',
      value: {
        _type: 'https://didcomm.org/sign-attachment/1.0/signature-response',
        connection_id: 'c1',
        thread: 't1',
        thread_id: 'e1',
        signature_request: [{ method: 'add-signature' }],
        signature_response: [],
        timing: {},
        formats: [],
        messages_attach: [{ '@id': 'a1' }],
        meta_data: { context: { job_id: 's1' } },
        order: { protocol: 'anoncreds-schema', category: 'schema', id: 's1', verkey: 'SECRET' },
        group: { payment: 'SECRET' },
        writing: true,
      },
    },
    view: {
      state: 'transaction_endorsed',
      created_at: TIME,
      updated_at: TIME,
      transaction_id: 't1',
      _type: 'https://didcomm.org/sign-attachment/1.0/signature-response',
      connection_id: 'c1',
      thread_id: 'e1',
      signature_request: [{ method: 'add-signature' }],
      signature_response: [],
      timing: {},
      formats: [],
      messages_attach: [{ '@id': 'a1' }],
      endorser_write_txn: false,
      meta_data: { context: { job_id: 's1' } },
    },
    tags: { thread: 't1', thread_id: 'e1', connection_id: 'c1', subject: 'schema s1' },
  },
  {
    category: 'endorsement_spent',
    record: { id: 'c1', value: { day: '2030-01-02', writes: 2, microalgo: 7 } },
    view: { day: '2030-01-02', writes: 2, microalgo: 7 },
    tags: {},
  },
  {
    category: 'schema',
    record: {
      id: 'r1',
      state: 'wait',
      value: {
        schema: { issuerId: 'did:algo:i', name: 'degree', version: '1.0', attrNames: ['a'] },
        schema_id: 's1',
        verkey: 'V',
        error_msg: 'waits',
      },
    },
    view: {
      job_id: 'r1',
      schema_state: {
        state: 'wait',
        schema_id: 's1',
        schema: { issuerId: 'did:algo:i', name: 'degree', version: '1.0', attrNames: ['a'] },
      },
      registration_metadata: { reason: 'waits' },
      schema_metadata: {},
    },
    tags: { schema_id: 's1', schema_issuer_id: 'did:algo:i', schema_name: 'degree', schema_version: '1.0' },
  },
  {
    category: 'connection',
    record: {
      id: 'c1',
      state: 'response',
      role: 'inviter',
      value: {
        invitation_mode: 'once',
        invitation_key: 'I',
        invitation_msg_id: 'i1',
        request_id: 'r1',
        my_did: 'mine',
        my_verkey: 'SECRET',
        their_did: 'theirs',
        their_label: 'Peer',
        their_keys: ['K', 'L'],
        shown_keys: ['K'],
        their_former: { keys: ['F'], until: 1 },
        connection_protocol: 'didexchange/1.1',
        reusable: true,
        their_public_did: 'did:web:p',
        agent2018: { profile: 'spec', trust: 'ledger', endpoint_did: 'E', endpoint_verkey: 'X' },
      },
    },
    view: {
      state: 'response',
      created_at: TIME,
      updated_at: TIME,
      connection_id: 'c1',
      my_did: 'mine',
      their_did: 'theirs',
      their_label: 'Peer',
      their_role: 'invitee',
      connection_protocol: 'didexchange/1.1',
      rfc23_state: 'response-sent',
      invitation_key: 'I',
      invitation_msg_id: 'i1',
      request_id: 'r1',
      accept: 'manual',
      invitation_mode: 'once',
      their_public_did: 'did:web:p',
      legacy: { profile: 'spec', trust: 'ledger' },
    },
    tags: {
      thread: 'r1',
      their_key: ['K', 'F'],
      listed_key: ['L'],
      connection_protocol: 'didexchange/1.1',
      invitation_key: 'I',
      invitation_msg_id: 'i1',
      my_did: 'mine',
      their_did: 'theirs',
      their_public_did: 'did:web:p',
      reusable: 'did:web:p',
      endpoint_did: 'E',
    },
  },
  {
    category: 'credential_exchange_v10',
    record: {
      id: 'x1',
      state: 'offer_sent',
      role: 'issuer',
      connection: 'c1',
      value: {
        thread_id: 't1',
        initiator: 'self',
        auto_issue: true,
        credential_offer: { nonce: '1' },
        credential_offer_dict: { '@id': 'o' },
        wanted: { comment: 'SECRET' },
        protocol: 'p',
      },
    },
    view: {
      state: 'offer_sent',
      created_at: TIME,
      updated_at: TIME,
      trace: false,
      credential_exchange_id: 'x1',
      connection_id: 'c1',
      thread_id: 't1',
      initiator: 'self',
      role: 'issuer',
      auto_issue: true,
      credential_offer_dict: { '@id': 'o' },
      credential_offer: { nonce: '1' },
    },
    terse: {
      state: 'offer_sent',
      created_at: TIME,
      updated_at: TIME,
      trace: false,
      credential_exchange_id: 'x1',
      connection_id: 'c1',
      thread_id: 't1',
      initiator: 'self',
      role: 'issuer',
      auto_issue: true,
    },
    tags: { thread: 't1', thread_id: 't1' },
    hidden: false,
  },
  {
    category: 'cred_ex_v20',
    record: {
      id: 'x1',
      state: 'done',
      role: 'holder',
      connection: 'c1',
      value: {
        thread_id: 't1',
        initiator: 'external',
        cred_offer: { '@id': 'o' },
        details: { indy: { a: 1 } },
        wanted: { comment: 'SECRET' },
        replyTo: { key: 'SECRET' },
      },
    },
    view: {
      state: 'done',
      created_at: TIME,
      updated_at: TIME,
      trace: false,
      cred_ex_id: 'x1',
      connection_id: 'c1',
      thread_id: 't1',
      initiator: 'external',
      role: 'holder',
      auto_offer: false,
      auto_issue: false,
      auto_remove: false,
      auto_remove_on_failure: false,
      cred_offer: { '@id': 'o' },
      by_format: { cred_offer: {} },
    },
    terse: {
      state: 'done',
      created_at: TIME,
      updated_at: TIME,
      trace: false,
      cred_ex_id: 'x1',
      connection_id: 'c1',
      thread_id: 't1',
      initiator: 'external',
      role: 'holder',
      auto_offer: false,
      auto_issue: false,
      auto_remove: false,
    },
    tags: { thread: 't1', thread_id: 't1' },
    hidden: false,
  },
  {
    category: 'credential',
    record: {
      id: 'cred-1',
      value: {
        schema_id: 's1',
        cred_def_id: 'cd1',
        rev_reg_id: null,
        cred_rev_id: null,
        attrs: { degree: 'Maths' },
        credential: { signature: 'SECRET' },
        subject: { a: 'SECRET' },
      },
    },
    view: { referent: 'cred-1', schema_id: 's1', cred_def_id: 'cd1', rev_reg_id: null, cred_rev_id: null, attrs: { degree: 'Maths' } },
    tags: { schema_id: 's1', cred_def_id: 'cd1' },
  },
  {
    category: 'device',
    record: { id: 'c1', value: { device_token: 'SECRET', device_platform: 'ios' } },
    view: { device_platform: 'ios' },
    tags: {},
  },
  {
    category: 'did_rotate',
    record: {
      id: 'r1',
      state: 'rotate-sent',
      role: 'rotating',
      value: { connection_id: 'c1', new_did: 'did:peer:4x', thread_id: 't1', verkey: 'SECRET', protocol: 'did-rotate' },
    },
    view: {
      state: 'rotate-sent',
      created_at: TIME,
      updated_at: TIME,
      record_id: 'r1',
      role: 'rotating',
      connection_id: 'c1',
      new_did: 'did:peer:4x',
      thread_id: 't1',
    },
    tags: { thread: 't1' },
  },
  {
    category: 'did',
    record: {
      id: 'did:key:z',
      state: 'stored',
      value: {
        did: 'did:key:z',
        verkey: 'V',
        method: 'key',
        key_type: 'ed25519',
        posture: 'wallet_only',
        metadata: { a: 1 },
        next_metadata: { b: 'SECRET' },
      },
    },
    view: { did: 'did:key:z', verkey: 'V', posture: 'wallet_only', key_type: 'ed25519', method: 'key', metadata: { a: 1 } },
    tags: { did: 'did:key:z', verkey: 'V', method: 'key', key_type: 'ed25519', posture: 'wallet_only' },
  },
  {
    category: 'discovery_exchange_v10',
    record: { id: 'd1', state: 'query-sent', connection: 'c1', value: { thread_id: 't1', connection_id: 'c1', query: { query: '*' } } },
    view: {
      state: 'query-sent',
      created_at: TIME,
      updated_at: TIME,
      trace: false,
      discovery_exchange_id: 'd1',
      connection_id: 'c1',
      thread_id: 't1',
      query_msg: { query: '*' },
    },
    tags: { thread: 't1', connection_id: 'c1' },
  },
  {
    category: 'discovery_exchange_v20',
    record: {
      id: 'd1',
      state: 'disclose-received',
      connection: 'c1',
      value: { thread_id: 't1', connection_id: 'c1', disclosed: { disclosures: [] } },
    },
    view: {
      created_at: TIME,
      updated_at: TIME,
      trace: false,
      discovery_exchange_id: 'd1',
      connection_id: 'c1',
      thread_id: 't1',
      disclosures: { disclosures: [] },
    },
    tags: { thread: 't1', connection_id: 'c1' },
  },
  {
    category: 'drpc_record',
    record: {
      id: 'r1',
      state: 'completed',
      role: 'server',
      value: { connection_id: 'c1', thread_id: 't1', asked: 't1', request: { id: 1 }, response: { result: 2 } },
    },
    view: {
      state: 'completed',
      created_at: TIME,
      updated_at: TIME,
      request: { id: 1 },
      response: { result: 2 },
      id: 'r1',
      tags: { connection_id: 'c1', thread_id: 't1' },
    },
    tags: { thread: 't1', thread_id: 't1', connection_id: 'c1', asked: 't1' },
  },
  {
    category: 'owner_action',
    record: {
      id: 'a1',
      state: 'done',
      connection: 'c1',
      value: { initiator: 'external', thread_id: 't1', message_type: 'type', message_id: 'm1', result: { schema_id: 's' } },
    },
    view: {
      state: 'done',
      created_at: TIME,
      updated_at: TIME,
      action_id: 'a1',
      connection_id: 'c1',
      thread_id: 't1',
      message_type: 'type',
      message_id: 'm1',
      result: { schema_id: 's' },
    },
    tags: { thread: 't1', thread_id: 't1' },
  },
  {
    category: 'backup_transfer',
    record: {
      id: 't1',
      state: 'answered',
      role: 'owner',
      connection: 'c1',
      value: { thread_id: 'thread', asked: 'stored', answer: { generation: 1, part: 1 } },
    },
    view: {
      ...{ transfer_id: 't1', state: 'answered', created_at: TIME, updated_at: TIME },
      ...{ connection_id: 'c1', answer: { generation: 1, part: 1 } },
    },
    tags: { thread: 'thread' },
  },
  { category: 'restored', record: { id: 'base', state: 'imported', value: {} }, view: {}, tags: {} },
  {
    category: 'recovery_share',
    record: {
      id: 's1',
      state: 'kept',
      role: 'trustee',
      connection: 'c1',
      value: { thread_id: 't1', label: 'Alice', share: 'SECRET' },
    },
    view: {
      state: 'kept',
      created_at: TIME,
      updated_at: TIME,
      share_id: 's1',
      connection_id: 'c1',
      role: 'trustee',
      thread_id: 't1',
      label: 'Alice',
    },
    tags: { thread: 't1', thread_id: 't1' },
  },
  {
    category: 'question',
    record: {
      id: 'q1',
      state: 'answered',
      role: 'owner',
      connection: 'c1',
      value: {
        thread_id: 't1',
        decision_id: 'd1',
        point: 'connection-request',
        about: { their_label: 'Bob' },
        approvals: 1,
        action: 'reject',
      },
    },
    view: {
      ...{ state: 'answered', created_at: TIME, updated_at: TIME, question_id: 'q1', connection_id: 'c1', thread_id: 't1' },
      ...{ decision_id: 'd1', point: 'connection-request', record: { their_label: 'Bob' }, approvals: 1, action: 'reject' },
    },
    tags: { thread: 't1', thread_id: 't1' },
  },
  {
    category: 'wallet_backup',
    record: { id: 'last', state: 'counted', value: { generation: 3 } },
    view: { generation: 3 },
    tags: {},
  },
  {
    category: 'introduction_record',
    record: {
      id: 'i1',
      state: 'pending',
      value: { init_connection_id: 'a', target_connection_id: 'b', thread_id: 't1', responder: 'SECRET' },
    },
    view: {},
    tags: { thread: 't1' },
  },
  {
    category: 'agency_relay',
    record: { id: 'r1', state: 'sent', value: { endpoint: 'https://peer.example', connection: 'c1' } },
    view: { relay_id: 'r1', state: 'sent' },
    tags: { connection: 'c1' },
  },
  {
    category: 'agency_route',
    record: { id: 'r1', role: 'edge', value: { kind: 'did', name: 'D', role: 'edge', confirmed: false } },
    view: { route_id: 'r1', kind: 'did', confirmed: false },
    tags: { edge: 'D' },
  },
  {
    category: 'cloud_agent',
    record: {
      id: 'a1',
      state: 'provisioned',
      value: {
        devices: [{ connection: 'c1', label: 'phone', added: AT }],
        codes: [{ hash: 'H', expires: AT }],
        routes: 3,
        backups: {
          ...{ controllers: ['did:key:z6Mk'], uploads: [] },
          kept: [{ controller: 'SECRET', generation: 1, upload: 'SECRET', parts: 1, bytes: 7, sha256: 'SECRET', stored: AT }],
        },
        retention: 24 * 3600_000,
        no2018: true,
        relayed: { day: 1, messages: 2 },
      },
    },
    view: {
      cloud_agent_id: 'a1',
      created_at: TIME,
      devices: [{ connection_id: 'c1', label: 'phone', added_at: TIME }],
      routes: 3,
      relayed_today: 2,
      retention_days: 1,
      legacy: false,
      backups: 1,
      backup_bytes: 7,
    },
    tags: { device: ['c1'], code: ['H'], backup: ['did:key:z6Mk'] },
  },
  {
    category: 'edge_device',
    record: {
      id: 'd1',
      state: 'provisioned',
      role: 'edge',
      value: {
        connection_id: 'c1',
        role: 'edge',
        generation: 2,
        endpoint: 'https://agency.example',
        did: 'D',
        verkey: 'V',
        thread_id: 't1',
      },
    },
    view: {
      state: 'provisioned',
      created_at: TIME,
      updated_at: TIME,
      device_id: 'd1',
      role: 'edge',
      connection_id: 'c1',
      generation: 2,
      endpoint: 'https://agency.example',
      endpoint_did: 'D',
      endpoint_verkey: 'V',
    },
    tags: { edge: 'yes', connection_id: 'c1', thread: 't1' },
  },
  {
    category: 'keylist',
    record: { id: 'k1', role: 'client', value: { connection_id: 'c1', recipient_key: 'did:key:z', role: 'client', verkey: 'V' } },
    view: { created_at: TIME, updated_at: TIME, record_id: 'k1', role: 'client', connection_id: 'c1', recipient_key: 'did:key:z' },
    tags: { connection_id: 'c1', recipient_key: 'did:key:z', client: 'V' },
    hidden: true,
  },
  {
    category: 'legacy_endpoint',
    record: { id: 'D', state: 'stored', value: { did: 'D', verkey: 'V' } },
    view: { did: 'D', verkey: 'V' },
    tags: {},
  },
  {
    category: 'mediation',
    record: {
      id: 'm1',
      state: 'granted',
      role: 'client',
      connection: 'c1',
      value: {
        connection_id: 'c1',
        role: 'client',
        endpoint: 'https://m.example',
        routing_keys: ['did:key:z#z'],
        routing_verkeys: ['V'],
        is_default: true,
        thread_id: 't1',
      },
    },
    view: {
      state: 'granted',
      created_at: TIME,
      updated_at: TIME,
      mediation_id: 'm1',
      role: 'client',
      connection_id: 'c1',
      routing_keys: ['did:key:z#z'],
      endpoint: 'https://m.example',
    },
    tags: { thread: 't1', connection_id: 'c1', client: 'c1', default: 'yes' },
  },
  {
    category: 'routing_key',
    record: { id: 'default', value: { verkey: 'V' } },
    view: { verkey: 'V' },
    tags: {},
  },
  {
    category: 'oob_record',
    record: {
      id: 'o1',
      state: 'await-response',
      role: 'receiver',
      value: {
        invi_msg_id: 'i1',
        invitation: { '@id': 'i1' },
        connection_id: 'c1',
        our_recipient_key: 'V',
        multi_use: false,
        reuse_msg_id: 'u1',
        short: 'SECRET',
      },
    },
    view: {
      state: 'await-response',
      created_at: TIME,
      updated_at: TIME,
      trace: false,
      oob_id: 'o1',
      invi_msg_id: 'i1',
      invitation: { '@id': 'i1' },
      connection_id: 'c1',
      our_recipient_key: 'V',
      role: 'receiver',
      multi_use: false,
    },
    tags: { thread: 'u1', invi_msg_id: 'i1', our_recipient_key: 'V' },
  },
  {
    category: 'pickup',
    record: { id: 'c1', value: { request: 'SECRET', ids: ['m1'] } },
    view: { ids: ['m1'] },
    tags: {},
  },
  {
    category: 'presentation_exchange_v10',
    record: {
      id: 'x1',
      state: 'verified',
      role: 'verifier',
      connection: 'c1',
      value: { thread_id: 't1', initiator: 'self', verified: 'true', verified_msgs: [], presentation: { proof: 1 }, waiting_since: 5 },
    },
    view: {
      state: 'verified',
      created_at: TIME,
      updated_at: TIME,
      trace: false,
      presentation_exchange_id: 'x1',
      connection_id: 'c1',
      thread_id: 't1',
      initiator: 'self',
      role: 'verifier',
      verified: 'true',
      verified_msgs: [],
      presentation: { proof: 1 },
    },
    terse: {
      state: 'verified',
      created_at: TIME,
      updated_at: TIME,
      trace: false,
      presentation_exchange_id: 'x1',
      connection_id: 'c1',
      thread_id: 't1',
      initiator: 'self',
      role: 'verifier',
      verified: 'true',
      verified_msgs: [],
    },
    tags: { thread: 't1', thread_id: 't1' },
  },
  {
    category: 'pres_ex_v20',
    record: {
      id: 'x1',
      state: 'request-sent',
      role: 'verifier',
      connection: 'c1',
      value: { thread_id: 't1', initiator: 'self', auto_verify: true, pres_request: { '@id': 'q' }, replyTo: { key: 'SECRET' } },
    },
    view: {
      state: 'request-sent',
      created_at: TIME,
      updated_at: TIME,
      trace: false,
      pres_ex_id: 'x1',
      connection_id: 'c1',
      thread_id: 't1',
      initiator: 'self',
      role: 'verifier',
      auto_present: false,
      auto_verify: true,
      auto_remove: false,
      auto_remove_on_failure: false,
      pres_request: { '@id': 'q' },
      by_format: { pres_request: {} },
    },
    terse: {
      state: 'request-sent',
      created_at: TIME,
      updated_at: TIME,
      trace: false,
      pres_ex_id: 'x1',
      connection_id: 'c1',
      thread_id: 't1',
      initiator: 'self',
      role: 'verifier',
      auto_present: false,
      auto_verify: true,
    },
    tags: { thread: 't1', thread_id: 't1' },
  },
  {
    category: 'wallet_key',
    record: { id: 'z6', state: 'stored', value: { verkey: 'V', multikey: 'z6', kid: 'k' } },
    view: { kid: 'k', multikey: 'z6' },
    tags: { verkey: 'V', kid: 'k' },
  },
  {
    category: 'wallet_record',
    record: {
      id: 'w1',
      state: 'ready',
      value: {
        wallet_name: 'alice',
        wallet_type: 'askar',
        dispatch_type: 'both',
        key_management_mode: 'managed',
        webhook_urls: ['https://u:SECRET@hook.example/x#SECRET'],
        tokens: [{ jti: 'SECRET', iat: 1 }],
        extra_settings: { 'log.level': 'info' },
      },
    },
    view: {
      wallet_id: 'w1',
      key_management_mode: 'managed',
      created_at: TIME,
      updated_at: TIME,
      settings: {
        'wallet.type': 'askar',
        'wallet.name': 'alice',
        'wallet.webhook_urls': ['https://***@hook.example/x#***'],
        'wallet.dispatch_type': 'both',
        'log.level': 'info',
        'wallet.id': 'w1',
      },
    },
    tags: { wallet_name: 'alice' },
  },
];

/** Every kind. */
const KINDS = registry.records;
const of = ({ record }: Row): LoadedRecord => ({ version: 1, created: AT, updated: AT, ...record }) as unknown as LoadedRecord;
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe('records', () => {
  for (const row of ROWS) {
    test(row.category, () => {
      const def = KINDS.get(row.category)!;
      const record = of(row);
      const { formats } = registry;
      assert.deepEqual(plain(viewOf(def, record, formats)), row.view, 'view');
      assert.deepEqual(def.terse && plain(def.terse(record)), row.terse, 'terse');
      assert.deepEqual(plain(def.tags(record.value)), row.tags, 'tags');
      assert.equal(def.hidden?.(record), row.hidden, 'hidden');
      assert.ok(record.state === undefined || def.states.includes(record.state), 'its state is one of its own');
      assert.ok(!JSON.stringify([def.view(record), def.terse?.(record), def.admin?.detail?.(record, formats)]).includes('SECRET'));
    });
  }

  test('rows that go with a connection: its keys, records that name it, and the mediations on it', () => {
    const removed = (value: object, id = 'c1') => plain(KINDS.get('connection')!.removed!(of({ record: { id, value } } as Row)));
    const none = { removedKeyOwners: [], removedKeys: [], deregisterKeys: [], next: [] };
    assert.deepEqual(removed({}), none);
    assert.deepEqual(removed({ my_verkey: 'K' }), { ...none, removedKeyOwners: ['K'], removedKeys: ['K'] });
    // the key of a DID of the wallet has other uses
    assert.deepEqual(removed({ my_verkey: 'K', my_did_shared: true, mediated: true }), none);
    assert.deepEqual(removed({ my_verkey: 'K', mediated: true, invitation_mediated: true, invitation_key: 'I' }), {
      removedKeyOwners: ['K'],
      removedKeys: ['K'],
      deregisterKeys: ['K', 'I'],
      next: [],
    });
    const names = (removed({ protocol: 'connection-2018', my_did: 'D', invitation_msg_id: 'n' }) as { removedKeyOwners: string[] })
      .removedKeyOwners;
    assert.deepEqual(names, ['2018 D', '2018 n', '2018 offer n']);
    const { next } = removed({ mediation: ['client'] }) as { next: { command: string; input: object }[] };
    assert.deepEqual(
      next.map(({ command, input }) => [command, input]),
      [['purge', { connection: 'c1', role: 'client' }]],
    );
    const left = removed({ protocol: 'connection-2018', my_did: 'D', mediated: true, agency: 'edge' }) as Record<
      'next' | 'deregisterKeys',
      object
    >;
    assert.deepEqual(left.deregisterKeys, ['2018 D'], 'an agency has its names');
    assert.deepEqual(left.next, [
      {
        protocol: 'agency',
        command: 'leave',
        record: { category: 'edge_device', id: edgeDeviceId('edge', 'c1') },
        input: { connection: 'c1' },
      },
    ]);
  });

  test('the deletion of a credential has a webhook that names it by id', () => {
    const emit = [{ topic: 'credential', payload: { id: 'cred-1', state: 'deleted' } }];
    for (const [value, removedKeys] of [
      [{}, []],
      // of another format than AnonCreds, with the key that it may be bound to
      [{ format: 'sd_jwt' }, ['credential:cred-1']],
    ])
      assert.deepEqual(KINDS.get('credential')!.removed!(of({ record: { id: 'cred-1', value } } as Row)), { removedKeys, emit });
  });

  test('every kind of this folder is registered', async () => {
    const missing: string[] = [];
    for (const file of globSync('*.ts', { cwd: import.meta.dirname, exclude: (name) => name.endsWith('.test.ts') })) {
      const exported: Record<string, unknown> = await import(`./${file}`);
      for (const [name, def] of Object.entries(exported))
        if (
          typeof def === 'object' &&
          def !== null &&
          'category' in def &&
          'view' in def &&
          registry.records.get(String(def.category)) !== def
        )
          missing.push(`${file} ${name}`);
    }
    assert.deepEqual(missing, []);
  });

  test('every kind has a row', () => assert.deepEqual([...KINDS.keys()].sort(), ROWS.map(({ category }) => category).sort()));
});
