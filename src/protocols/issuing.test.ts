import { exchangeOf, formattedBy } from '../../test/support/exchanges.ts';
import { act, CONNECTION, REMOVED, some, table } from '../../test/support/steps.ts';
import { base64Attachment } from '../didcomm/attachments.ts';
import { ocaBundleId } from '../formats/oca-bundle.ts';
import { credentialRevocationId } from '../records/credential-revocation.ts';

const ISSUE = 'https://didcomm.org/issue-credential';
const attributes = [{ name: 'degree', value: 'Maths' }];
const preview = (version: string) => ({ '@type': `${ISSUE}/${version}/credential-preview`, attributes });
/** What was asked to be offered, as the record holds it until the offer is made. */
const [PREVIEW, PREVIEW1] = [preview('2.0'), preview('1.0')];
const IDS = {
  filters: 'credential-filter@v1.0',
  offers: 'credential-offer@v1.0',
  requests: 'credential-request@v1.0',
  credentials: 'credential@v1.0',
};
const { formatted, body, raw } = formattedBy(IDS);
const OFFER = { schema_id: 's1', cred_def_id: 'cd1', nonce: '1' };
const REQUEST = { blinded: 'r' };
const CREDENTIAL = { values: 'c' };
const base = { protocol: 'issue-credential-2.0', thread_id: 'thread-1', initiator: 'external', auto_issue: false, auto_remove: true };
const messages = {
  cred_proposal: formatted('filters', { cred_def_id: 'cd1' }),
  cred_offer: formatted('offers', OFFER),
  cred_request: formatted('requests', REQUEST),
  cred_issue: formatted('credentials', CREDENTIAL),
  cred_preview: preview('2.0'),
};
const LOOK = { cred_def_id: 'cd1', issuer_id: 'did:algo:issuer', bundle: { overlays: [] } };
const exchange = exchangeOf({ ...base, ...messages });
const filter = { anoncreds: { cred_def_id: 'cd1' } };
const offer = { filter, credential_preview: { attributes } };
const auto = {
  autoRespondCredentialProposal: true,
  autoRespondCredentialOffer: true,
  autoRespondCredentialRequest: true,
  autoStoreCredential: true,
};
const info = { schema_id: 's1', cred_def_id: 'cd1', rev_reg_id: null, cred_rev_id: null, attrs: { degree: 'Maths' }, subject: { a: 1 } };
const invited = { ...CONNECTION, state: 'invitation' };
const free = { replyTo: { key: 'k' } };
const INDEX = { registry: 'g1', rev_reg_id: 'R', cred_def_id: 'cd1', index: 3, last: 3 };
/** The record of that index. */
const indexed = (version: string) => ({
  def: 'cred_rev',
  id: credentialRevocationId('g1', 3),
  states: ['issued'],
  connection: 'c1',
  patch: { registry: 'g1', rev_reg_id: 'R', cred_def_id: 'cd1', index: 3, cred_ex_id: 'x1', cred_ex_version: version },
});
const RETIRES = {
  protocol: 'revocation-registry',
  command: 'retire',
  record: { category: 'rev_reg', id: 'g1' },
  input: { cred_def_id: 'cd1', state: 'full' },
  after: 0,
};

table('issue-credential-2.0', [
  {
    title: 'waits for the controller',
    message: 'propose-credential',
    body: { ...body('filters', {}), credential_preview: preview('2.0') },
    raw: raw('filters', { cred_def_id: 'cd1' }),
    effects: {
      record: {
        role: 'issuer',
        connection: 'c1',
        states: ['proposal-received'],
        patch: {
          protocol: 'issue-credential-2.0',
          thread_id: 'message-1',
          initiator: 'external',
          auto_issue: false,
          auto_remove: true,
          auto_remove_on_failure: false,
          cred_proposal: {
            '@type': 'https://didcomm.org/issue-credential/2.0/propose-credential',
            '@id': 'message-1',
            formats: [{ attach_id: 'a', format: 'anoncreds/credential-filter@v1.0' }],
            credential_preview: {
              '@type': 'https://didcomm.org/issue-credential/2.0/credential-preview',
              attributes: [{ name: 'degree', value: 'Maths' }],
            },
            'filters~attach': [{ '@id': 'a', 'mime-type': 'application/json', data: { base64: 'eyJjcmVkX2RlZl9pZCI6ImNkMSJ9' } }],
          },
          cred_preview: {
            '@type': 'https://didcomm.org/issue-credential/2.0/credential-preview',
            attributes: [{ name: 'degree', value: 'Maths' }],
          },
          auto_offer: false,
        },
      },
    },
  },
  {
    title: 'is answered by itself',
    message: 'propose-credential',
    body: body('filters', {}),
    raw: raw('filters', {}),
    settings: auto,
    effects: {
      next: [{ command: 'send-offer' }],
      record: {
        role: 'issuer',
        connection: 'c1',
        states: ['proposal-received'],
        patch: {
          protocol: 'issue-credential-2.0',
          thread_id: 'message-1',
          initiator: 'external',
          auto_issue: true,
          auto_remove: true,
          auto_remove_on_failure: false,
          cred_proposal: {
            '@type': 'https://didcomm.org/issue-credential/2.0/propose-credential',
            '@id': 'message-1',
            formats: [{ attach_id: 'a', format: 'anoncreds/credential-filter@v1.0' }],
            'filters~attach': [{ '@id': 'a', 'mime-type': 'application/json', data: { base64: 'e30=' } }],
          },
          auto_offer: true,
        },
      },
    },
  },
  {
    title: 'answers an offer',
    message: 'propose-credential',
    body: body('filters', {}),
    raw: raw('filters', {}),
    record: exchange('issuer', 'offer-sent'),
    effects: {
      record: {
        role: 'issuer',
        states: ['proposal-received'],
        patch: {
          cred_proposal: {
            '@type': 'https://didcomm.org/issue-credential/2.0/propose-credential',
            '@id': 'message-1',
            formats: [{ attach_id: 'a', format: 'anoncreds/credential-filter@v1.0' }],
            'filters~attach': [{ '@id': 'a', 'mime-type': 'application/json', data: { base64: 'e30=' } }],
          },
          cred_preview: REMOVED,
          auto_offer: false,
        },
      },
    },
  },
  {
    title: 'without what it names',
    message: 'propose-credential',
    body: body('filters', {}),
    error: 'message-invalid',
    text: 'formats and attachments are not one to one',
  },
  {
    title: 'waits for the controller',
    message: 'offer-credential',
    body: { ...body('offers', OFFER), credential_preview: preview('2.0') },
    raw: raw('offers', OFFER),
    pthid: 'invitation-1',
    effects: {
      record: {
        role: 'holder',
        connection: 'c1',
        states: ['offer-received'],
        patch: {
          protocol: 'issue-credential-2.0',
          thread_id: 'message-1',
          parent_thread_id: 'invitation-1',
          initiator: 'external',
          auto_issue: false,
          auto_remove: true,
          auto_remove_on_failure: false,
          cred_offer: {
            '@type': 'https://didcomm.org/issue-credential/2.0/offer-credential',
            '@id': 'message-1',
            '~thread': { thid: 'message-1', pthid: 'invitation-1' },
            formats: [{ attach_id: 'a', format: 'anoncreds/credential-offer@v1.0' }],
            credential_preview: {
              '@type': 'https://didcomm.org/issue-credential/2.0/credential-preview',
              attributes: [{ name: 'degree', value: 'Maths' }],
            },
            'offers~attach': [
              {
                '@id': 'a',
                'mime-type': 'application/json',
                data: { base64: 'eyJzY2hlbWFfaWQiOiJzMSIsImNyZWRfZGVmX2lkIjoiY2QxIiwibm9uY2UiOiIxIn0=' },
              },
            ],
          },
          cred_preview: {
            '@type': 'https://didcomm.org/issue-credential/2.0/credential-preview',
            attributes: [{ name: 'degree', value: 'Maths' }],
          },
          auto_offer: false,
        },
      },
    },
  },
  {
    title: 'is answered by itself',
    message: 'offer-credential',
    body: body('offers', OFFER),
    raw: raw('offers', OFFER),
    settings: auto,
    effects: {
      next: [{ command: 'send-request' }],
      record: {
        role: 'holder',
        connection: 'c1',
        states: ['offer-received'],
        patch: {
          protocol: 'issue-credential-2.0',
          thread_id: 'message-1',
          initiator: 'external',
          auto_issue: true,
          auto_remove: true,
          auto_remove_on_failure: false,
          cred_offer: {
            '@type': 'https://didcomm.org/issue-credential/2.0/offer-credential',
            '@id': 'message-1',
            formats: [{ attach_id: 'a', format: 'anoncreds/credential-offer@v1.0' }],
            'offers~attach': [
              {
                '@id': 'a',
                'mime-type': 'application/json',
                data: { base64: 'eyJzY2hlbWFfaWQiOiJzMSIsImNyZWRfZGVmX2lkIjoiY2QxIiwibm9uY2UiOiIxIn0=' },
              },
            ],
          },
          auto_offer: true,
        },
      },
    },
  },
  {
    title: 'answers a proposal of ours, by whose flag it is answered',
    message: 'offer-credential',
    body: body('offers', OFFER),
    raw: raw('offers', OFFER),
    record: exchange('holder', 'proposal-sent', { auto_offer: true }),
    effects: {
      next: [{ command: 'send-request' }],
      record: {
        role: 'holder',
        states: ['offer-received'],
        patch: {
          cred_offer: {
            '@type': 'https://didcomm.org/issue-credential/2.0/offer-credential',
            '@id': 'message-1',
            formats: [{ attach_id: 'a', format: 'anoncreds/credential-offer@v1.0' }],
            'offers~attach': [
              {
                '@id': 'a',
                'mime-type': 'application/json',
                data: { base64: 'eyJzY2hlbWFfaWQiOiJzMSIsImNyZWRfZGVmX2lkIjoiY2QxIiwibm9uY2UiOiIxIn0=' },
              },
            ],
          },
          cred_preview: REMOVED,
          auto_offer: true,
        },
      },
    },
  },
  {
    title: 'of a format that nobody knows',
    message: 'offer-credential',
    body: body('offers', OFFER, 'smoke/offer@v1'),
    raw: raw('offers', OFFER),
    error: 'message-invalid',
    text: 'no attachment has a format that is supported',
  },
  {
    title: 'with two attributes of one name',
    message: 'offer-credential',
    body: { ...body('offers', OFFER), credential_preview: { attributes: [...attributes, ...attributes] } },
    raw: raw('offers', OFFER),
    error: 'message-invalid',
    text: 'credential_preview: the attribute names "degree" and "degree" differ only in blanks or case',
  },
  {
    title: 'to an offer of ours',
    message: 'offer-credential',
    body: body('offers', OFFER),
    raw: raw('offers', OFFER),
    record: exchange('issuer', 'offer-sent'),
    error: 'wrong-state',
  },
  {
    title: 'waits for the controller',
    message: 'request-credential',
    body: body('requests', REQUEST),
    raw: raw('requests', REQUEST),
    record: exchange('issuer', 'offer-sent'),
    effects: {
      record: {
        states: ['request-received'],
        connection: 'c1',
        patch: {
          cred_request: {
            '@type': 'https://didcomm.org/issue-credential/2.0/request-credential',
            '@id': 'message-1',
            formats: [{ attach_id: 'a', format: 'anoncreds/credential-request@v1.0' }],
            'requests~attach': [{ '@id': 'a', 'mime-type': 'application/json', data: { base64: 'eyJibGluZGVkIjoiciJ9' } }],
          },
        },
      },
    },
  },
  {
    title: 'is answered by itself',
    message: 'request-credential',
    body: body('requests', REQUEST),
    raw: raw('requests', REQUEST),
    record: exchange('issuer', 'offer-sent', { auto_issue: true }),
    effects: {
      next: [{ command: 'issue' }],
      record: {
        states: ['request-received'],
        connection: 'c1',
        patch: {
          cred_request: {
            '@type': 'https://didcomm.org/issue-credential/2.0/request-credential',
            '@id': 'message-1',
            formats: [{ attach_id: 'a', format: 'anoncreds/credential-request@v1.0' }],
            'requests~attach': [{ '@id': 'a', 'mime-type': 'application/json', data: { base64: 'eyJibGluZGVkIjoiciJ9' } }],
          },
        },
      },
    },
  },
  {
    title: 'in a format that was not offered',
    message: 'request-credential',
    body: body('requests', REQUEST, 'hlindy/cred-req@v2.0'),
    raw: raw('requests', REQUEST),
    record: exchange('issuer', 'offer-sent'),
    error: 'message-invalid',
    text: 'an attachment has a format that was not asked for',
  },
  {
    title: 'twice',
    message: 'request-credential',
    body: body('requests', REQUEST),
    raw: raw('requests', REQUEST),
    record: exchange('issuer', 'request-received'),
    error: 'wrong-state',
  },
  {
    title: 'waits for the controller',
    message: 'issue-credential',
    body: body('credentials', CREDENTIAL),
    raw: raw('credentials', CREDENTIAL),
    record: exchange('holder', 'request-sent'),
    effects: {
      record: {
        states: ['credential-received'],
        patch: {
          cred_issue: {
            '@type': 'https://didcomm.org/issue-credential/2.0/issue-credential',
            '@id': 'message-1',
            formats: [{ attach_id: 'a', format: 'anoncreds/credential@v1.0' }],
            'credentials~attach': [{ '@id': 'a', 'mime-type': 'application/json', data: { base64: 'eyJ2YWx1ZXMiOiJjIn0=' } }],
          },
        },
      },
    },
  },
  {
    title: 'is stored by itself',
    message: 'issue-credential',
    body: body('credentials', CREDENTIAL),
    raw: raw('credentials', CREDENTIAL),
    record: exchange('holder', 'request-sent'),
    settings: auto,
    effects: {
      next: [{ command: 'store' }],
      record: {
        states: ['credential-received'],
        patch: {
          cred_issue: {
            '@type': 'https://didcomm.org/issue-credential/2.0/issue-credential',
            '@id': 'message-1',
            formats: [{ attach_id: 'a', format: 'anoncreds/credential@v1.0' }],
            'credentials~attach': [{ '@id': 'a', 'mime-type': 'application/json', data: { base64: 'eyJ2YWx1ZXMiOiJjIn0=' } }],
          },
        },
      },
    },
  },
  {
    title: 'that nobody asked for',
    message: 'issue-credential',
    body: body('credentials', CREDENTIAL),
    raw: raw('credentials', CREDENTIAL),
    error: 'wrong-state',
  },
  {
    title: 'ends the exchange, which goes',
    acked: { status: 'OK' },
    record: exchange('issuer', 'credential-issued'),
    effects: { record: { states: ['done'], remove: true } },
  },
  {
    title: 'ends the exchange, which stays',
    acked: { status: 'OK' },
    record: exchange('issuer', 'credential-issued', { auto_remove: false }),
    effects: { record: { states: ['done'], remove: false } },
  },
  { title: 'before the credential', acked: { status: 'OK' }, record: exchange('issuer', 'offer-sent'), error: 'wrong-state' },
  {
    title: 'ends the exchange',
    problem: { description: { code: 'issuance-abandoned', en: 'no' } },
    record: exchange('issuer', 'offer-sent'),
    effects: { record: { states: ['abandoned'], patch: { error_msg: 'issuance-abandoned: no' } } },
  },
  { title: 'to an exchange that is done', problem: {}, record: exchange('issuer', 'done'), error: 'wrong-state' },
  {
    title: 'of an offer that nobody has seen leaves no trace',
    failed: { result: 'offered', code: 'bad-request', text: 'no' },
    record: exchange('issuer', ''),
    effects: { record: { remove: true, silent: true } },
  },
  {
    title: 'of an exchange that a peer waits for is reported to it',
    failed: { result: 'issued', code: 'anoncreds-failed', text: 'no' },
    record: exchange('issuer', 'request-received', { auto_remove_on_failure: true }),
    effects: {
      problem: { code: 'issuance-abandoned', text: 'The exchange was abandoned' },
      record: { states: ['abandoned'], remove: true, patch: { error_msg: 'no' } },
    },
  },
  {
    title: 'sends the offer',
    result: 'offered',
    output: { made: [{ format: 'anoncreds', value: OFFER }] },
    record: { ...exchange('issuer', ''), value: { initiator: 'self', wanted: { comment: 'hi', replacement_id: null, preview: PREVIEW } } },
    effects: {
      send: [
        {
          message: {
            '@type': 'https://didcomm.org/issue-credential/2.0/offer-credential',
            '@id': 'id-1',
            credential_preview: {
              '@type': 'https://didcomm.org/issue-credential/2.0/credential-preview',
              attributes: [{ name: 'degree', value: 'Maths' }],
            },
            comment: 'hi',
            formats: [{ attach_id: 'anoncreds', format: 'anoncreds/credential-offer@v1.0' }],
            'offers~attach': [
              {
                '@id': 'anoncreds',
                'mime-type': 'application/json',
                data: { base64: 'eyJzY2hlbWFfaWQiOiJzMSIsImNyZWRfZGVmX2lkIjoiY2QxIiwibm9uY2UiOiIxIn0=' },
              },
            ],
          },
        },
      ],
      record: {
        states: ['offer-sent'],
        patch: {
          thread_id: 'id-1',
          cred_offer: {
            '@type': 'https://didcomm.org/issue-credential/2.0/offer-credential',
            '@id': 'id-1',
            credential_preview: {
              '@type': 'https://didcomm.org/issue-credential/2.0/credential-preview',
              attributes: [{ name: 'degree', value: 'Maths' }],
            },
            comment: 'hi',
            formats: [{ attach_id: 'anoncreds', format: 'anoncreds/credential-offer@v1.0' }],
            'offers~attach': [
              {
                '@id': 'anoncreds',
                'mime-type': 'application/json',
                data: { base64: 'eyJzY2hlbWFfaWQiOiJzMSIsImNyZWRfZGVmX2lkIjoiY2QxIiwibm9uY2UiOiIxIn0=' },
              },
            ],
          },
          cred_preview: {
            '@type': 'https://didcomm.org/issue-credential/2.0/credential-preview',
            attributes: [{ name: 'degree', value: 'Maths' }],
          },
          wanted: REMOVED,
        },
      },
    },
  },
  {
    title: 'keeps an offer that no peer has yet',
    result: 'offered',
    output: { made: [{ format: 'anoncreds', value: OFFER }] },
    record: { ...exchange('issuer', ''), value: { initiator: 'self' } },
    connection: null,
    effects: {
      record: {
        states: ['offer-sent'],
        patch: {
          thread_id: 'id-1',
          cred_offer: {
            '@type': 'https://didcomm.org/issue-credential/2.0/offer-credential',
            '@id': 'id-1',
            formats: [{ attach_id: 'anoncreds', format: 'anoncreds/credential-offer@v1.0' }],
            'offers~attach': [
              {
                '@id': 'anoncreds',
                'mime-type': 'application/json',
                data: { base64: 'eyJzY2hlbWFfaWQiOiJzMSIsImNyZWRfZGVmX2lkIjoiY2QxIiwibm9uY2UiOiIxIn0=' },
              },
            ],
          },
        },
      },
    },
  },
  {
    title: 'of a look keeps it, whatever has become of the exchange, in the place of an old one',
    result: 'looked',
    output: { found: LOOK, gone: 'old' },
    record: exchange('holder', 'done'),
    loads: { known: { category: 'oca_bundle', id: ocaBundleId('cd1') }, gone: { category: 'oca_bundle', id: 'old' } },
    loaded: { gone: { id: 'old', role: 'holder', state: 'active', value: { ...LOOK, cred_def_id: 'cd0' } } },
    effects: {
      others: [
        { def: 'oca_bundle', id: ocaBundleId('cd1'), role: 'holder', states: ['active'], patch: LOOK },
        { def: 'oca_bundle', base: 'old', remove: true },
      ],
    },
  },
  {
    title: 'of a look leaves the one that its owner gave',
    result: 'looked',
    output: { found: LOOK },
    record: exchange('holder', 'offer-received'),
    loaded: { known: { id: ocaBundleId('cd1'), role: 'issuer', state: 'active', value: { ...LOOK, bundle: {} } } },
    effects: {},
  },
  {
    title: 'of a look leaves a newer one',
    result: 'looked',
    output: { found: LOOK },
    record: exchange('holder', 'offer-received'),
    loaded: { known: { id: ocaBundleId('cd1'), role: 'holder', state: 'active', value: { ...LOOK, bundle: {}, signed_at: 8 } } },
    effects: {},
  },
  {
    title: 'of a look takes the place of an older one',
    result: 'looked',
    output: { found: { ...LOOK, signed_at: 9 } },
    record: exchange('holder', 'offer-received'),
    loaded: { known: { id: ocaBundleId('cd1'), role: 'holder', state: 'active', value: { ...LOOK, bundle: {}, signed_at: 8 } } },
    effects: {
      others: [
        {
          ...{ def: 'oca_bundle', id: ocaBundleId('cd1'), base: ocaBundleId('cd1'), role: 'holder', states: ['active'] },
          patch: { ...LOOK, signed_at: 9 },
        },
      ],
    },
  },
  {
    title: 'of a look that is none is nothing',
    result: 'looked',
    output: {},
    record: exchange('holder', 'offer-received'),
    loads: {},
    effects: {},
  },
  {
    title: 'sends the request, and keeps what blinds it as a key',
    result: 'requested',
    output: { made: [{ format: 'anoncreds', value: REQUEST, secret: Buffer.from('m') }] },
    record: exchange('holder', 'offer-received'),
    effects: {
      emit: [
        {
          topic: 'issue_credential_v2_0_anoncreds',
          payload: {
            created_at: '2030-01-02T03:04:05.000000Z',
            cred_ex_id: 'x1',
            updated_at: '2030-01-02T03:04:05.000000Z',
            cred_ex_anoncreds_id: 'id-2',
          },
        },
      ],
      send: [
        {
          message: {
            '@type': 'https://didcomm.org/issue-credential/2.0/request-credential',
            '@id': 'id-1',
            '~thread': { thid: 'thread-1' },
            formats: [{ attach_id: 'anoncreds', format: 'anoncreds/credential-request@v1.0' }],
            'requests~attach': [{ '@id': 'anoncreds', 'mime-type': 'application/json', data: { base64: 'eyJibGluZGVkIjoiciJ9' } }],
          },
        },
      ],
      record: {
        states: ['request-sent'],
        patch: {
          cred_request: {
            '@type': 'https://didcomm.org/issue-credential/2.0/request-credential',
            '@id': 'id-1',
            '~thread': { thid: 'thread-1' },
            formats: [{ attach_id: 'anoncreds', format: 'anoncreds/credential-request@v1.0' }],
            'requests~attach': [{ '@id': 'anoncreds', 'mime-type': 'application/json', data: { base64: 'eyJibGluZGVkIjoiciJ9' } }],
          },
          details: {
            anoncreds: {
              created_at: '2030-01-02T03:04:05.000000Z',
              cred_ex_anoncreds_id: 'id-2',
              cred_ex_id: 'x1',
              updated_at: '2030-01-02T03:04:05.000000Z',
            },
          },
        },
      },
      keys: ['cred-request:x1'],
    },
  },
  {
    title: 'of a wallet of the Indy family names that family',
    result: 'requested',
    output: { made: [{ format: 'anoncreds', value: REQUEST, secret: Buffer.from('m') }] },
    record: exchange('holder', 'offer-received'),
    settings: { walletType: 'askar' },
    effects: {
      emit: [
        {
          topic: 'issue_credential_v2_0_indy',
          payload: {
            created_at: '2030-01-02T03:04:05.000000Z',
            cred_ex_id: 'x1',
            updated_at: '2030-01-02T03:04:05.000000Z',
            cred_ex_indy_id: 'id-2',
          },
        },
      ],
      send: [
        {
          message: {
            '@type': 'https://didcomm.org/issue-credential/2.0/request-credential',
            '@id': 'id-1',
            '~thread': { thid: 'thread-1' },
            formats: [{ attach_id: 'anoncreds', format: 'anoncreds/credential-request@v1.0' }],
            'requests~attach': [{ '@id': 'anoncreds', 'mime-type': 'application/json', data: { base64: 'eyJibGluZGVkIjoiciJ9' } }],
          },
        },
      ],
      record: {
        states: ['request-sent'],
        patch: {
          cred_request: {
            '@type': 'https://didcomm.org/issue-credential/2.0/request-credential',
            '@id': 'id-1',
            '~thread': { thid: 'thread-1' },
            formats: [{ attach_id: 'anoncreds', format: 'anoncreds/credential-request@v1.0' }],
            'requests~attach': [{ '@id': 'anoncreds', 'mime-type': 'application/json', data: { base64: 'eyJibGluZGVkIjoiciJ9' } }],
          },
          details: {
            anoncreds: {
              created_at: '2030-01-02T03:04:05.000000Z',
              cred_ex_anoncreds_id: 'id-2',
              cred_ex_id: 'x1',
              updated_at: '2030-01-02T03:04:05.000000Z',
            },
          },
        },
      },
      keys: ['cred-request:x1'],
    },
  },
  {
    title: 'sends the credential and asks for an ack',
    result: 'issued',
    output: { made: [{ format: 'anoncreds', value: CREDENTIAL }] },
    record: exchange('issuer', 'request-received', { wanted: { comment: 'hi' } }),
    effects: {
      emit: [
        {
          topic: 'issue_credential_v2_0_anoncreds',
          payload: {
            created_at: '2030-01-02T03:04:05.000000Z',
            cred_ex_id: 'x1',
            updated_at: '2030-01-02T03:04:05.000000Z',
            cred_ex_anoncreds_id: 'id-2',
          },
        },
      ],
      send: [
        {
          message: {
            '@type': 'https://didcomm.org/issue-credential/2.0/issue-credential',
            '@id': 'id-1',
            '~thread': { thid: 'thread-1' },
            comment: 'hi',
            formats: [{ attach_id: 'anoncreds', format: 'anoncreds/credential@v1.0' }],
            'credentials~attach': [{ '@id': 'anoncreds', 'mime-type': 'application/json', data: { base64: 'eyJ2YWx1ZXMiOiJjIn0=' } }],
            '~please_ack': { on: ['OUTCOME'] },
          },
        },
      ],
      record: {
        states: ['credential-issued'],
        remove: false,
        patch: {
          cred_issue: {
            '@type': 'https://didcomm.org/issue-credential/2.0/issue-credential',
            '@id': 'id-1',
            '~thread': { thid: 'thread-1' },
            comment: 'hi',
            formats: [{ attach_id: 'anoncreds', format: 'anoncreds/credential@v1.0' }],
            'credentials~attach': [{ '@id': 'anoncreds', 'mime-type': 'application/json', data: { base64: 'eyJ2YWx1ZXMiOiJjIn0=' } }],
            '~please_ack': { on: ['OUTCOME'] },
          },
          wanted: REMOVED,
          details: {
            anoncreds: {
              created_at: '2030-01-02T03:04:05.000000Z',
              cred_ex_anoncreds_id: 'id-2',
              cred_ex_id: 'x1',
              updated_at: '2030-01-02T03:04:05.000000Z',
            },
          },
        },
      },
    },
  },
  {
    title: 'orders the work again with a number, where the format needs one',
    result: 'issued',
    output: { made: [], next: { op: 'anoncreds/issue', input: {}, result: 'issued', allocate: { counter: 'c', upTo: 3 } } },
    record: exchange('issuer', 'request-received'),
    effects: { work: [{ op: 'anoncreds/issue', input: {}, result: 'issued', allocate: { counter: 'c', upTo: 3 } }] },
  },
  {
    title: 'notes the index of the credential, the last of its registry',
    result: 'issued',
    output: { made: [{ format: 'anoncreds', value: CREDENTIAL, revocable: INDEX }] },
    record: exchange('issuer', 'request-received'),
    effects: {
      emit: [some({ payload: some({ rev_reg_id: 'R', cred_rev_id: '3' }) })],
      send: (sent: unknown[]) => sent.length === 1,
      record: some({ states: ['credential-issued'] }),
      others: [indexed('2')],
      next: [RETIRES],
    },
  },
  {
    title: 'is shown by its exchange',
    command: 'show-revoked',
    record: exchange('issuer', 'done'),
    effects: { record: { states: ['credential-revoked'] } },
  },
  {
    title: 'is the end for a peer that never acknowledges',
    result: 'issued',
    output: { made: [{ format: 'anoncreds', value: CREDENTIAL }] },
    record: exchange('issuer', 'request-received'),
    connection: { ...CONNECTION, value: { ...CONNECTION.value, agent2018: { profile: 'spec' } } },
    effects: {
      emit: [
        {
          topic: 'issue_credential_v2_0_anoncreds',
          payload: {
            created_at: '2030-01-02T03:04:05.000000Z',
            cred_ex_id: 'x1',
            updated_at: '2030-01-02T03:04:05.000000Z',
            cred_ex_anoncreds_id: 'id-2',
          },
        },
      ],
      send: [
        {
          message: {
            '@type': 'https://didcomm.org/issue-credential/2.0/issue-credential',
            '@id': 'id-1',
            '~thread': { thid: 'thread-1' },
            formats: [{ attach_id: 'anoncreds', format: 'anoncreds/credential@v1.0' }],
            'credentials~attach': [{ '@id': 'anoncreds', 'mime-type': 'application/json', data: { base64: 'eyJ2YWx1ZXMiOiJjIn0=' } }],
            '~please_ack': { on: ['OUTCOME'] },
          },
        },
      ],
      record: {
        states: ['credential-issued', 'done'],
        remove: true,
        patch: {
          cred_issue: {
            '@type': 'https://didcomm.org/issue-credential/2.0/issue-credential',
            '@id': 'id-1',
            '~thread': { thid: 'thread-1' },
            formats: [{ attach_id: 'anoncreds', format: 'anoncreds/credential@v1.0' }],
            'credentials~attach': [{ '@id': 'anoncreds', 'mime-type': 'application/json', data: { base64: 'eyJ2YWx1ZXMiOiJjIn0=' } }],
            '~please_ack': { on: ['OUTCOME'] },
          },
          details: {
            anoncreds: {
              created_at: '2030-01-02T03:04:05.000000Z',
              cred_ex_anoncreds_id: 'id-2',
              cred_ex_id: 'x1',
              updated_at: '2030-01-02T03:04:05.000000Z',
            },
          },
        },
      },
    },
  },
  {
    title: 'keeps the credential, and gives up what blinded it',
    result: 'stored',
    output: { made: [{ format: 'anoncreds', id: 'cred-1', credential: CREDENTIAL, info }] },
    record: exchange('holder', 'credential-received'),
    effects: {
      removedKeys: ['cred-request:x1'],
      emit: [
        {
          topic: 'issue_credential_v2_0_anoncreds',
          payload: {
            created_at: '2030-01-02T03:04:05.000000Z',
            cred_ex_id: 'x1',
            updated_at: '2030-01-02T03:04:05.000000Z',
            cred_id_stored: 'cred-1',
            cred_ex_anoncreds_id: 'id-1',
          },
        },
      ],
      send: [{ type: 'ack', body: { status: 'OK' } }],
      record: {
        states: ['done'],
        remove: true,
        patch: {
          details: {
            anoncreds: {
              created_at: '2030-01-02T03:04:05.000000Z',
              cred_ex_anoncreds_id: 'id-1',
              cred_ex_id: 'x1',
              updated_at: '2030-01-02T03:04:05.000000Z',
              cred_id_stored: 'cred-1',
            },
          },
        },
      },
      others: [
        {
          def: 'credential',
          id: 'cred-1',
          silent: true,
          patch: {
            schema_id: 's1',
            cred_def_id: 'cd1',
            rev_reg_id: null,
            cred_rev_id: null,
            attrs: { degree: 'Maths' },
            subject: { a: 1 },
            credential: { values: 'c' },
          },
        },
      ],
    },
  },
  {
    title: 'comes twice',
    result: 'stored',
    output: { made: [{ format: 'anoncreds', id: 'cred-1', credential: CREDENTIAL, info }] },
    record: exchange('holder', 'done'),
    error: 'wrong-state',
  },
  {
    title: 'sends the proposal',
    command: 'POST /issue-credential-2.0/send-proposal',
    body: { connection_id: 'c1', ...offer, comment: 'hi' },
    connection: CONNECTION,
    effects: {
      send: [
        {
          message: {
            '@type': 'https://didcomm.org/issue-credential/2.0/propose-credential',
            '@id': 'id-1',
            comment: 'hi',
            credential_preview: {
              '@type': 'https://didcomm.org/issue-credential/2.0/credential-preview',
              attributes: [{ name: 'degree', value: 'Maths' }],
            },
            formats: [{ attach_id: 'anoncreds', format: 'anoncreds/credential-filter@v1.0' }],
            'filters~attach': [{ '@id': 'anoncreds', 'mime-type': 'application/json', data: { base64: 'eyJjcmVkX2RlZl9pZCI6ImNkMSJ9' } }],
          },
        },
      ],
      record: {
        role: 'holder',
        connection: 'c1',
        states: ['proposal-sent'],
        patch: {
          protocol: 'issue-credential-2.0',
          initiator: 'self',
          auto_remove: true,
          auto_remove_on_failure: false,
          thread_id: 'id-1',
          cred_proposal: {
            '@type': 'https://didcomm.org/issue-credential/2.0/propose-credential',
            '@id': 'id-1',
            comment: 'hi',
            credential_preview: {
              '@type': 'https://didcomm.org/issue-credential/2.0/credential-preview',
              attributes: [{ name: 'degree', value: 'Maths' }],
            },
            formats: [{ attach_id: 'anoncreds', format: 'anoncreds/credential-filter@v1.0' }],
            'filters~attach': [{ '@id': 'anoncreds', 'mime-type': 'application/json', data: { base64: 'eyJjcmVkX2RlZl9pZCI6ImNkMSJ9' } }],
          },
          cred_preview: {
            '@type': 'https://didcomm.org/issue-credential/2.0/credential-preview',
            attributes: [{ name: 'degree', value: 'Maths' }],
          },
          auto_offer: false,
        },
      },
    },
  },
  {
    title: 'without a format',
    command: 'POST /issue-credential-2.0/send-proposal',
    body: { connection_id: 'c1', filter: {} },
    connection: CONNECTION,
    error: 'unprocessable',
    text: 'filter: one of anoncreds, indy is required',
  },
  {
    title: 'of a format that is not there yet',
    command: 'POST /issue-credential-2.0/send-proposal',
    body: { connection_id: 'c1', filter: { ld_proof: {} } },
    connection: CONNECTION,
    error: 'not-implemented',
    text: 'The formats ld_proof and vc_di are not supported yet',
  },
  {
    title: 'needs a connection that can be written to',
    command: 'POST /issue-credential-2.0/send-proposal',
    body: { connection_id: 'c1', ...offer },
    connection: invited,
    error: 'bad-request',
    text: 'Connection c1 not ready',
  },
  {
    title: 'without a connection',
    command: 'POST /issue-credential-2.0/create-offer',
    body: { ...offer, auto_issue: true },
    connection: null,
    effects: {
      work: [act('anoncreds/offer', { filter: { cred_def_id: 'cd1' }, preview: [{ name: 'degree', value: 'Maths' }] }, 'offered')],
      record: {
        role: 'issuer',
        silent: true,
        patch: {
          protocol: 'issue-credential-2.0',
          initiator: 'self',
          auto_remove: true,
          auto_remove_on_failure: false,
          auto_issue: true,
          cred_proposal: {
            '@type': 'https://didcomm.org/issue-credential/2.0/propose-credential',
            '@id': 'id-1',
            credential_preview: {
              '@type': 'https://didcomm.org/issue-credential/2.0/credential-preview',
              attributes: [{ name: 'degree', value: 'Maths' }],
            },
            formats: [{ attach_id: 'anoncreds', format: 'anoncreds/credential-filter@v1.0' }],
            'filters~attach': [{ '@id': 'anoncreds', 'mime-type': 'application/json', data: { base64: 'eyJjcmVkX2RlZl9pZCI6ImNkMSJ9' } }],
          },
          wanted: { comment: null, replacement_id: null, preview: PREVIEW },
        },
      },
    },
  },
  {
    title: 'is issued by itself',
    command: 'POST /issue-credential-2.0/create',
    body: offer,
    connection: null,
    effects: {
      work: [act('anoncreds/offer', { filter: { cred_def_id: 'cd1' }, preview: [{ name: 'degree', value: 'Maths' }] }, 'offered')],
      record: {
        role: 'issuer',
        silent: true,
        patch: {
          protocol: 'issue-credential-2.0',
          initiator: 'self',
          auto_remove: true,
          auto_remove_on_failure: false,
          auto_issue: true,
          cred_proposal: {
            '@type': 'https://didcomm.org/issue-credential/2.0/propose-credential',
            '@id': 'id-1',
            credential_preview: {
              '@type': 'https://didcomm.org/issue-credential/2.0/credential-preview',
              attributes: [{ name: 'degree', value: 'Maths' }],
            },
            formats: [{ attach_id: 'anoncreds', format: 'anoncreds/credential-filter@v1.0' }],
            'filters~attach': [{ '@id': 'anoncreds', 'mime-type': 'application/json', data: { base64: 'eyJjcmVkX2RlZl9pZCI6ImNkMSJ9' } }],
          },
          wanted: { comment: null, replacement_id: null, preview: PREVIEW },
        },
      },
    },
  },
  {
    title: 'orders the offer',
    command: 'POST /issue-credential-2.0/send-offer',
    body: { connection_id: 'c1', ...offer, auto_remove: false },
    connection: CONNECTION,
    effects: {
      work: [act('anoncreds/offer', { filter: { cred_def_id: 'cd1' }, preview: [{ name: 'degree', value: 'Maths' }] }, 'offered')],
      record: {
        role: 'issuer',
        connection: 'c1',
        silent: true,
        patch: {
          protocol: 'issue-credential-2.0',
          initiator: 'self',
          auto_remove: false,
          auto_remove_on_failure: false,
          auto_issue: false,
          cred_proposal: {
            '@type': 'https://didcomm.org/issue-credential/2.0/propose-credential',
            '@id': 'id-1',
            credential_preview: {
              '@type': 'https://didcomm.org/issue-credential/2.0/credential-preview',
              attributes: [{ name: 'degree', value: 'Maths' }],
            },
            formats: [{ attach_id: 'anoncreds', format: 'anoncreds/credential-filter@v1.0' }],
            'filters~attach': [{ '@id': 'anoncreds', 'mime-type': 'application/json', data: { base64: 'eyJjcmVkX2RlZl9pZCI6ImNkMSJ9' } }],
          },
          wanted: { comment: null, replacement_id: null, preview: PREVIEW },
        },
      },
    },
  },
  {
    title: 'needs a connection that can be written to',
    command: 'POST /issue-credential-2.0/send-offer',
    body: { connection_id: 'c1', ...offer },
    connection: invited,
    error: 'bad-request',
    text: 'Connection c1 not ready',
  },
  {
    title: 'is issued by itself',
    command: 'POST /issue-credential-2.0/send',
    body: { connection_id: 'c1', ...offer },
    connection: CONNECTION,
    effects: {
      work: [act('anoncreds/offer', { filter: { cred_def_id: 'cd1' }, preview: [{ name: 'degree', value: 'Maths' }] }, 'offered')],
      record: {
        role: 'issuer',
        connection: 'c1',
        silent: true,
        patch: {
          protocol: 'issue-credential-2.0',
          initiator: 'self',
          auto_remove: true,
          auto_remove_on_failure: false,
          auto_issue: true,
          cred_proposal: {
            '@type': 'https://didcomm.org/issue-credential/2.0/propose-credential',
            '@id': 'id-1',
            credential_preview: {
              '@type': 'https://didcomm.org/issue-credential/2.0/credential-preview',
              attributes: [{ name: 'degree', value: 'Maths' }],
            },
            formats: [{ attach_id: 'anoncreds', format: 'anoncreds/credential-filter@v1.0' }],
            'filters~attach': [{ '@id': 'anoncreds', 'mime-type': 'application/json', data: { base64: 'eyJjcmVkX2RlZl9pZCI6ImNkMSJ9' } }],
          },
          wanted: { comment: null, replacement_id: null, preview: PREVIEW },
        },
      },
    },
  },
  {
    title: 'offers what was proposed',
    command: 'POST /issue-credential-2.0/records/{cred_ex_id}/send-offer',
    record: exchange('issuer', 'proposal-received'),
    effects: {
      work: [act('anoncreds/offer', { filter: { cred_def_id: 'cd1' }, preview: [{ name: 'degree', value: 'Maths' }] }, 'offered')],
      record: { patch: { wanted: { preview: PREVIEW } } },
    },
  },
  {
    title: 'offers something else',
    command: 'POST /issue-credential-2.0/records/{cred_ex_id}/send-offer',
    body: { filter: { indy: {} }, counter_preview: { attributes: [{ name: 'a', value: '1' }] } },
    record: exchange('issuer', 'proposal-received'),
    effects: {
      work: [act('indy/offer', { filter: {}, preview: [{ name: 'a', value: '1' }] }, 'offered')],
      record: { patch: { wanted: { preview: { attributes: [{ name: 'a', value: '1' }] } } } },
    },
  },
  {
    title: 'orders the request',
    command: 'POST /issue-credential-2.0/records/{cred_ex_id}/send-request',
    record: exchange('holder', 'offer-received'),
    effects: {
      work: [act('anoncreds/request', { offer: { schema_id: 's1', cred_def_id: 'cd1', nonce: '1' }, entropy: 'c1' }, 'requested')],
      record: {},
    },
  },
  {
    title: 'before the offer',
    command: 'POST /issue-credential-2.0/records/{cred_ex_id}/send-request',
    record: exchange('holder', 'proposal-sent'),
    error: 'wrong-state',
  },
  {
    title: 'orders the credential with the values of the preview',
    command: 'POST /issue-credential-2.0/records/{cred_ex_id}/issue',
    body: { comment: 'hi' },
    record: exchange('issuer', 'request-received'),
    effects: {
      work: [
        act(
          'anoncreds/issue',
          { offer: { schema_id: 's1', cred_def_id: 'cd1', nonce: '1' }, request: { blinded: 'r' }, values: { degree: 'Maths' } },
          'issued',
        ),
      ],
      record: { patch: { wanted: { comment: 'hi' } } },
    },
  },
  {
    title: 'of the holder',
    command: 'POST /issue-credential-2.0/records/{cred_ex_id}/issue',
    record: exchange('holder', 'request-received'),
    error: 'wrong-state',
  },
  {
    title: 'orders the check of the credential',
    command: 'POST /issue-credential-2.0/records/{cred_ex_id}/store',
    body: { credential_id: 'mine' },
    loads: { named: { category: 'credential', id: 'mine' } },
    record: exchange('holder', 'credential-received'),
    effects: {
      work: [
        act(
          'anoncreds/store',
          {
            exchange: 'x1',
            offer: { schema_id: 's1', cred_def_id: 'cd1', nonce: '1' },
            credential: { values: 'c' },
            id: 'mine',
            lax: false,
            offered: [{ name: 'degree', value: 'Maths' }],
          },
          'stored',
        ),
      ],
      record: {},
    },
  },
  {
    title: 'under a name that is taken',
    command: 'POST /issue-credential-2.0/records/{cred_ex_id}/store',
    body: { credential_id: 'mine' },
    loaded: { named: { category: 'credential', id: 'mine', value: {} } },
    record: exchange('holder', 'credential-received'),
    error: 'bad-request',
    text: 'Credential mine already exists in this wallet',
  },
  {
    title: 'ends the exchange',
    command: 'POST /issue-credential-2.0/records/{cred_ex_id}/problem-report',
    body: { description: 'no' },
    record: exchange('issuer', 'offer-sent'),
    effects: {
      problem: { code: 'issuance-abandoned', text: 'no' },
      answer: {},
      record: { states: ['abandoned'], patch: { error_msg: 'created problem report: no' } },
    },
  },
  {
    title: 'of an exchange that is done',
    command: 'POST /issue-credential-2.0/records/{cred_ex_id}/problem-report',
    body: { description: 'no' },
    record: exchange('issuer', 'done'),
    error: 'wrong-state',
  },
  {
    title: 'sends nothing where there is no peer',
    command: 'POST /issue-credential-2.0/records/{cred_ex_id}/problem-report',
    body: { description: 'no' },
    record: { ...exchange('issuer', 'offer-sent', free), connection: undefined },
    connection: null,
    effects: { answer: {}, record: { states: ['abandoned'], patch: { error_msg: 'created problem report: no' } } },
  },
]);

const old = (field: Exclude<keyof typeof IDS, 'filters'>, value: object) => ({ [field]: [base64Attachment(value as never, 'a')] });
const base1 = { protocol: 'issue-credential-1.0', thread_id: 'thread-1', initiator: 'external', auto_issue: false, auto_remove: true };
const proposal1 = {
  '@type': `${ISSUE}/1.0/propose-credential`,
  '@id': 'p',
  cred_def_id: 'cd1',
  comment: 'hi',
  credential_proposal: preview('1.0'),
};
const offer1 = { '@type': `${ISSUE}/1.0/offer-credential`, '@id': 'o', credential_preview: preview('1.0') };
const exchange1 = (role: string, state: string, value = {}) => ({
  id: 'x1',
  role,
  state,
  connection: 'c1',
  value: {
    ...base1,
    credential_proposal_dict: proposal1,
    credential_offer_dict: offer1,
    credential_offer: OFFER,
    credential_request: REQUEST,
    raw_credential: CREDENTIAL,
    ...value,
  },
});
const ours1 = { cred_def_id: 'cd1', credential_preview: { attributes } };
const route1 = 'POST /issue-credential/records/{cred_ex_id}';

table('issue-credential-1.0', [
  {
    title: 'waits for the controller',
    message: 'propose-credential',
    body: { credential_proposal: preview('1.0'), cred_def_id: 'cd1' },
    effects: {
      record: {
        role: 'issuer',
        connection: 'c1',
        states: ['proposal_received'],
        patch: {
          protocol: 'issue-credential-1.0',
          thread_id: 'message-1',
          initiator: 'external',
          auto_offer: false,
          auto_issue: false,
          auto_remove: true,
          credential_proposal_dict: {
            '@type': 'https://didcomm.org/issue-credential/1.0/propose-credential',
            '@id': 'message-1',
            credential_proposal: {
              '@type': 'https://didcomm.org/issue-credential/1.0/credential-preview',
              attributes: [{ name: 'degree', value: 'Maths' }],
            },
            cred_def_id: 'cd1',
          },
        },
      },
    },
  },
  {
    title: 'is answered by itself',
    message: 'propose-credential',
    body: { credential_proposal: preview('1.0') },
    settings: auto,
    effects: {
      next: [{ command: 'send-offer' }],
      record: {
        role: 'issuer',
        connection: 'c1',
        states: ['proposal_received'],
        patch: {
          protocol: 'issue-credential-1.0',
          thread_id: 'message-1',
          initiator: 'external',
          auto_offer: true,
          auto_issue: true,
          auto_remove: true,
          credential_proposal_dict: {
            '@type': 'https://didcomm.org/issue-credential/1.0/propose-credential',
            '@id': 'message-1',
            credential_proposal: {
              '@type': 'https://didcomm.org/issue-credential/1.0/credential-preview',
              attributes: [{ name: 'degree', value: 'Maths' }],
            },
          },
        },
      },
    },
  },
  {
    title: 'waits for the controller',
    message: 'offer-credential',
    body: { credential_preview: preview('1.0') },
    attachments: old('offers', OFFER),
    effects: {
      record: {
        role: 'holder',
        connection: 'c1',
        states: ['offer_received'],
        patch: {
          protocol: 'issue-credential-1.0',
          thread_id: 'message-1',
          initiator: 'external',
          auto_offer: false,
          auto_issue: false,
          auto_remove: true,
          credential_proposal_dict: {
            '@type': 'https://didcomm.org/issue-credential/1.0/propose-credential',
            '@id': 'id-1',
            credential_proposal: {
              '@type': 'https://didcomm.org/issue-credential/1.0/credential-preview',
              attributes: [{ name: 'degree', value: 'Maths' }],
            },
            schema_id: 's1',
            cred_def_id: 'cd1',
          },
          credential_offer_dict: {
            '@type': 'https://didcomm.org/issue-credential/1.0/offer-credential',
            '@id': 'message-1',
            credential_preview: {
              '@type': 'https://didcomm.org/issue-credential/1.0/credential-preview',
              attributes: [{ name: 'degree', value: 'Maths' }],
            },
            'offers~attach': [
              {
                '@id': 'a',
                'mime-type': 'application/json',
                data: { base64: 'eyJzY2hlbWFfaWQiOiJzMSIsImNyZWRfZGVmX2lkIjoiY2QxIiwibm9uY2UiOiIxIn0=' },
              },
            ],
          },
          credential_offer: { schema_id: 's1', cred_def_id: 'cd1', nonce: '1' },
          credential_definition_id: 'cd1',
          schema_id: 's1',
        },
      },
    },
  },
  {
    title: 'is answered by itself',
    message: 'offer-credential',
    body: { credential_preview: preview('1.0') },
    attachments: old('offers', OFFER),
    settings: auto,
    effects: {
      next: [{ command: 'send-request' }],
      record: {
        role: 'holder',
        connection: 'c1',
        states: ['offer_received'],
        patch: {
          protocol: 'issue-credential-1.0',
          thread_id: 'message-1',
          initiator: 'external',
          auto_offer: false,
          auto_issue: false,
          auto_remove: true,
          credential_proposal_dict: {
            '@type': 'https://didcomm.org/issue-credential/1.0/propose-credential',
            '@id': 'id-1',
            credential_proposal: {
              '@type': 'https://didcomm.org/issue-credential/1.0/credential-preview',
              attributes: [{ name: 'degree', value: 'Maths' }],
            },
            schema_id: 's1',
            cred_def_id: 'cd1',
          },
          credential_offer_dict: {
            '@type': 'https://didcomm.org/issue-credential/1.0/offer-credential',
            '@id': 'message-1',
            credential_preview: {
              '@type': 'https://didcomm.org/issue-credential/1.0/credential-preview',
              attributes: [{ name: 'degree', value: 'Maths' }],
            },
            'offers~attach': [
              {
                '@id': 'a',
                'mime-type': 'application/json',
                data: { base64: 'eyJzY2hlbWFfaWQiOiJzMSIsImNyZWRfZGVmX2lkIjoiY2QxIiwibm9uY2UiOiIxIn0=' },
              },
            ],
          },
          credential_offer: { schema_id: 's1', cred_def_id: 'cd1', nonce: '1' },
          credential_definition_id: 'cd1',
          schema_id: 's1',
        },
      },
    },
  },
  {
    title: 'without a credential definition',
    message: 'offer-credential',
    body: { credential_preview: preview('1.0') },
    attachments: old('offers', {}),
    error: 'message-invalid',
    text: 'the attached offer names no credential definition',
  },
  {
    title: 'without an attachment',
    message: 'offer-credential',
    body: { credential_preview: preview('1.0') },
    error: 'message-invalid',
    text: 'the attached offer is not a JSON object',
  },
  {
    title: 'is answered by itself',
    message: 'request-credential',
    attachments: old('requests', REQUEST),
    record: exchange1('issuer', 'offer_sent', { auto_issue: true }),
    effects: {
      next: [{ command: 'issue' }],
      record: { states: ['request_received'], connection: 'c1', patch: { credential_request: { blinded: 'r' } } },
    },
  },
  {
    title: 'waits for the controller',
    message: 'request-credential',
    attachments: old('requests', REQUEST),
    record: exchange1('issuer', 'offer_sent'),
    effects: { record: { states: ['request_received'], connection: 'c1', patch: { credential_request: { blinded: 'r' } } } },
  },
  {
    title: 'twice',
    message: 'request-credential',
    attachments: old('requests', REQUEST),
    record: exchange1('issuer', 'request_received'),
    error: 'wrong-state',
  },
  {
    title: 'is stored by itself',
    message: 'issue-credential',
    attachments: old('credentials', CREDENTIAL),
    record: exchange1('holder', 'request_sent'),
    settings: auto,
    effects: { next: [{ command: 'store' }], record: { states: ['credential_received'], patch: { raw_credential: { values: 'c' } } } },
  },
  { title: 'that nobody asked for', message: 'issue-credential', attachments: old('credentials', CREDENTIAL), error: 'wrong-state' },
  {
    title: 'ends the exchange, which goes',
    acked: { status: 'OK' },
    record: exchange1('issuer', 'credential_issued'),
    effects: { record: { states: ['credential_acked'], remove: true } },
  },
  {
    title: 'ends the exchange',
    problem: { explain: 'no' },
    record: exchange1('issuer', 'offer_sent'),
    effects: { record: { states: ['abandoned'], patch: { error_msg: 'no' } } },
  },
  {
    title: 'of an offer that nobody has seen leaves no trace',
    failed: { result: 'offered', code: 'bad-request', text: 'no' },
    record: exchange1('issuer', ''),
    effects: { record: { remove: true, silent: true } },
  },
  {
    title: 'of an exchange that a peer waits for is reported to it',
    failed: { result: 'issued', code: 'anoncreds-failed', text: 'no' },
    record: exchange1('issuer', 'request_received'),
    effects: {
      problem: { code: 'issuance-abandoned', text: 'The exchange was abandoned' },
      record: { states: ['abandoned'], patch: { error_msg: 'no' } },
    },
  },
  {
    title: 'sends the offer',
    result: 'offered',
    output: { made: [{ format: 'indy', value: OFFER }] },
    record: { ...exchange1('issuer', ''), value: { initiator: 'self', wanted: { comment: 'hi', preview: PREVIEW1 } } },
    effects: {
      send: [
        {
          message: {
            '@type': 'https://didcomm.org/issue-credential/1.0/offer-credential',
            '@id': 'id-1',
            comment: 'hi',
            credential_preview: {
              '@type': 'https://didcomm.org/issue-credential/1.0/credential-preview',
              attributes: [{ name: 'degree', value: 'Maths' }],
            },
            'offers~attach': [
              {
                '@id': 'libindy-cred-offer-0',
                'mime-type': 'application/json',
                data: { base64: 'eyJzY2hlbWFfaWQiOiJzMSIsImNyZWRfZGVmX2lkIjoiY2QxIiwibm9uY2UiOiIxIn0=' },
              },
            ],
          },
        },
      ],
      record: {
        states: ['offer_sent'],
        patch: {
          thread_id: 'id-1',
          credential_offer_dict: {
            '@type': 'https://didcomm.org/issue-credential/1.0/offer-credential',
            '@id': 'id-1',
            comment: 'hi',
            credential_preview: {
              '@type': 'https://didcomm.org/issue-credential/1.0/credential-preview',
              attributes: [{ name: 'degree', value: 'Maths' }],
            },
            'offers~attach': [
              {
                '@id': 'libindy-cred-offer-0',
                'mime-type': 'application/json',
                data: { base64: 'eyJzY2hlbWFfaWQiOiJzMSIsImNyZWRfZGVmX2lkIjoiY2QxIiwibm9uY2UiOiIxIn0=' },
              },
            ],
          },
          credential_offer: { schema_id: 's1', cred_def_id: 'cd1', nonce: '1' },
          credential_definition_id: 'cd1',
          schema_id: 's1',
          wanted: REMOVED,
        },
      },
    },
  },
  {
    title: 'sends the request, and keeps what blinds it as a key',
    result: 'requested',
    output: { made: [{ format: 'indy', value: REQUEST, secret: Buffer.from('m') }] },
    record: exchange1('holder', 'offer_received'),
    effects: {
      send: [
        {
          message: {
            '@type': 'https://didcomm.org/issue-credential/1.0/request-credential',
            '@id': 'id-1',
            '~thread': { thid: 'thread-1' },
            'requests~attach': [
              { '@id': 'libindy-cred-request-0', 'mime-type': 'application/json', data: { base64: 'eyJibGluZGVkIjoiciJ9' } },
            ],
          },
        },
      ],
      record: { states: ['request_sent'], patch: { credential_request: { blinded: 'r' } } },
      keys: ['cred-request:x1'],
    },
  },
  {
    title: 'sends the credential and asks for an ack',
    result: 'issued',
    output: { made: [{ format: 'indy', value: CREDENTIAL }] },
    record: exchange1('issuer', 'request_received', { wanted: { comment: 'hi' } }),
    effects: {
      send: [
        {
          message: {
            '@type': 'https://didcomm.org/issue-credential/1.0/issue-credential',
            '@id': 'id-1',
            '~thread': { thid: 'thread-1' },
            '~please_ack': { on: ['OUTCOME'] },
            comment: 'hi',
            'credentials~attach': [{ '@id': 'libindy-cred-0', 'mime-type': 'application/json', data: { base64: 'eyJ2YWx1ZXMiOiJjIn0=' } }],
          },
        },
      ],
      record: { states: ['credential_issued'], remove: false, patch: { credential: { values: 'c' }, wanted: REMOVED } },
    },
  },
  {
    title: 'notes the index of the credential, the last of its registry',
    result: 'issued',
    output: { made: [{ format: 'indy', value: CREDENTIAL, revocable: INDEX }] },
    record: exchange1('issuer', 'request_received'),
    effects: {
      send: (sent: unknown[]) => sent.length === 1,
      record: some({ patch: some({ revoc_reg_id: 'R', revocation_id: '3' }) }),
      others: [indexed('1')],
      next: [RETIRES],
    },
  },
  {
    title: 'is shown by its exchange',
    command: 'show-revoked',
    record: exchange1('issuer', 'credential_acked'),
    effects: { record: { states: ['credential_revoked'] } },
  },
  {
    title: 'keeps the credential, and gives up what blinded it',
    result: 'stored',
    output: { made: [{ format: 'indy', id: 'cred-1', credential: CREDENTIAL, info }] },
    record: exchange1('holder', 'credential_received'),
    effects: {
      removedKeys: ['cred-request:x1'],
      send: [{ type: 'ack', body: { status: 'OK' } }],
      record: {
        states: ['credential_acked'],
        remove: true,
        patch: {
          credential_id: 'cred-1',
          credential: {
            referent: 'cred-1',
            schema_id: 's1',
            cred_def_id: 'cd1',
            rev_reg_id: null,
            cred_rev_id: null,
            attrs: { degree: 'Maths' },
          },
        },
      },
      others: [
        {
          def: 'credential',
          id: 'cred-1',
          silent: true,
          patch: {
            schema_id: 's1',
            cred_def_id: 'cd1',
            rev_reg_id: null,
            cred_rev_id: null,
            attrs: { degree: 'Maths' },
            subject: { a: 1 },
            credential: { values: 'c' },
          },
        },
      ],
    },
  },
  {
    title: 'sends the proposal',
    command: 'POST /issue-credential/send-proposal',
    body: { connection_id: 'c1', cred_def_id: 'cd1', credential_proposal: { attributes } },
    connection: CONNECTION,
    effects: {
      send: [
        {
          message: {
            '@type': 'https://didcomm.org/issue-credential/1.0/propose-credential',
            '@id': 'id-1',
            credential_proposal: {
              '@type': 'https://didcomm.org/issue-credential/1.0/credential-preview',
              attributes: [{ name: 'degree', value: 'Maths' }],
            },
            cred_def_id: 'cd1',
          },
        },
      ],
      record: {
        role: 'holder',
        connection: 'c1',
        states: ['proposal_sent'],
        patch: {
          protocol: 'issue-credential-1.0',
          initiator: 'self',
          auto_offer: false,
          auto_issue: false,
          auto_remove: true,
          thread_id: 'id-1',
          credential_proposal_dict: {
            '@type': 'https://didcomm.org/issue-credential/1.0/propose-credential',
            '@id': 'id-1',
            credential_proposal: {
              '@type': 'https://didcomm.org/issue-credential/1.0/credential-preview',
              attributes: [{ name: 'degree', value: 'Maths' }],
            },
            cred_def_id: 'cd1',
          },
        },
      },
    },
  },
  {
    title: 'needs a connection that can be written to',
    command: 'POST /issue-credential/send-proposal',
    body: { connection_id: 'c1' },
    connection: invited,
    error: 'bad-request',
    text: 'Connection c1 not ready',
  },
  {
    title: 'is issued by itself',
    command: 'POST /issue-credential/create',
    body: { cred_def_id: 'cd1', credential_proposal: { attributes } },
    connection: null,
    effects: {
      work: [act('indy/offer', { filter: { cred_def_id: 'cd1' }, preview: [{ name: 'degree', value: 'Maths' }] }, 'offered')],
      record: {
        role: 'issuer',
        silent: true,
        patch: {
          protocol: 'issue-credential-1.0',
          initiator: 'self',
          auto_offer: false,
          auto_issue: true,
          auto_remove: true,
          credential_proposal_dict: {
            '@type': 'https://didcomm.org/issue-credential/1.0/propose-credential',
            '@id': 'id-1',
            credential_proposal: {
              '@type': 'https://didcomm.org/issue-credential/1.0/credential-preview',
              attributes: [{ name: 'degree', value: 'Maths' }],
            },
            cred_def_id: 'cd1',
          },
          wanted: { comment: null, preview: PREVIEW1 },
        },
      },
    },
  },
  {
    title: 'is issued by itself',
    command: 'POST /issue-credential/send',
    body: { connection_id: 'c1', cred_def_id: 'cd1', credential_proposal: { attributes } },
    connection: CONNECTION,
    effects: {
      work: [act('indy/offer', { filter: { cred_def_id: 'cd1' }, preview: [{ name: 'degree', value: 'Maths' }] }, 'offered')],
      record: {
        role: 'issuer',
        connection: 'c1',
        silent: true,
        patch: {
          protocol: 'issue-credential-1.0',
          initiator: 'self',
          auto_offer: false,
          auto_issue: true,
          auto_remove: true,
          credential_proposal_dict: {
            '@type': 'https://didcomm.org/issue-credential/1.0/propose-credential',
            '@id': 'id-1',
            credential_proposal: {
              '@type': 'https://didcomm.org/issue-credential/1.0/credential-preview',
              attributes: [{ name: 'degree', value: 'Maths' }],
            },
            cred_def_id: 'cd1',
          },
          wanted: { comment: null, preview: PREVIEW1 },
        },
      },
    },
  },
  {
    title: 'without a connection',
    command: 'POST /issue-credential/create-offer',
    body: ours1,
    connection: null,
    effects: {
      work: [act('indy/offer', { filter: { cred_def_id: 'cd1' }, preview: [{ name: 'degree', value: 'Maths' }] }, 'offered')],
      record: {
        role: 'issuer',
        silent: true,
        patch: {
          protocol: 'issue-credential-1.0',
          initiator: 'self',
          auto_offer: false,
          auto_issue: false,
          auto_remove: true,
          credential_proposal_dict: {
            '@type': 'https://didcomm.org/issue-credential/1.0/propose-credential',
            '@id': 'id-1',
            credential_proposal: {
              '@type': 'https://didcomm.org/issue-credential/1.0/credential-preview',
              attributes: [{ name: 'degree', value: 'Maths' }],
            },
            cred_def_id: 'cd1',
          },
          wanted: { comment: null, preview: PREVIEW1 },
        },
      },
    },
  },
  {
    title: 'orders the offer',
    command: 'POST /issue-credential/send-offer',
    body: { connection_id: 'c1', ...ours1, auto_issue: true },
    connection: CONNECTION,
    effects: {
      work: [act('indy/offer', { filter: { cred_def_id: 'cd1' }, preview: [{ name: 'degree', value: 'Maths' }] }, 'offered')],
      record: {
        role: 'issuer',
        connection: 'c1',
        silent: true,
        patch: {
          protocol: 'issue-credential-1.0',
          initiator: 'self',
          auto_offer: false,
          auto_issue: true,
          auto_remove: true,
          credential_proposal_dict: {
            '@type': 'https://didcomm.org/issue-credential/1.0/propose-credential',
            '@id': 'id-1',
            credential_proposal: {
              '@type': 'https://didcomm.org/issue-credential/1.0/credential-preview',
              attributes: [{ name: 'degree', value: 'Maths' }],
            },
            cred_def_id: 'cd1',
          },
          wanted: { comment: null, preview: PREVIEW1 },
        },
      },
    },
  },
  {
    title: 'offers what was proposed',
    command: `${route1}/send-offer`,
    record: exchange1('issuer', 'proposal_received'),
    effects: {
      work: [act('indy/offer', { filter: { cred_def_id: 'cd1' }, preview: [{ name: 'degree', value: 'Maths' }] }, 'offered')],
      record: { patch: { wanted: { comment: 'hi', preview: PREVIEW1 } } },
    },
  },
  {
    title: 'of a proposal without a preview',
    command: `${route1}/send-offer`,
    record: exchange1('issuer', 'proposal_received', { credential_proposal_dict: {} }),
    error: 'bad-request',
    text: 'The proposal has no credential preview to offer',
  },
  {
    title: 'orders the request',
    command: `${route1}/send-request`,
    body: { auto_remove: false },
    record: exchange1('holder', 'offer_received'),
    effects: {
      work: [act('indy/request', { offer: { schema_id: 's1', cred_def_id: 'cd1', nonce: '1' }, entropy: 'c1' }, 'requested')],
      record: { patch: { auto_remove: false } },
    },
  },
  {
    title: 'orders the credential with the values of the preview',
    command: `${route1}/issue`,
    record: exchange1('issuer', 'request_received'),
    effects: {
      work: [
        act(
          'indy/issue',
          { offer: { schema_id: 's1', cred_def_id: 'cd1', nonce: '1' }, request: { blinded: 'r' }, values: { degree: 'Maths' } },
          'issued',
        ),
      ],
      record: {},
    },
  },
  {
    title: 'orders the check of the credential',
    command: `${route1}/store`,
    record: exchange1('holder', 'credential_received'),
    effects: {
      work: [
        act(
          'indy/store',
          {
            exchange: 'x1',
            offer: { schema_id: 's1', cred_def_id: 'cd1', nonce: '1' },
            credential: { values: 'c' },
            id: 'id-1',
            lax: false,
            offered: [{ name: 'degree', value: 'Maths' }],
          },
          'stored',
        ),
      ],
      record: {},
    },
  },
  {
    title: 'under a name that is taken',
    command: `${route1}/store`,
    body: { credential_id: 'mine' },
    loaded: { named: { category: 'credential', id: 'mine', value: {} } },
    record: exchange1('holder', 'credential_received'),
    error: 'bad-request',
    text: 'Credential mine already exists in this wallet',
  },
  {
    title: 'ends the exchange',
    command: `${route1}/problem-report`,
    body: { description: 'no' },
    record: exchange1('issuer', 'offer_sent'),
    effects: {
      problem: { code: 'issuance-abandoned', text: 'no' },
      answer: {},
      record: { states: ['abandoned'], patch: { error_msg: 'created problem report: no' } },
    },
  },
]);
