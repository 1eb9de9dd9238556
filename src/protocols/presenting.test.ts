import { exchangeOf, formattedBy } from '../../test/support/exchanges.ts';
import { act, CONNECTION, NOW, REMOVED, table } from '../../test/support/steps.ts';
import { base64Attachment } from '../didcomm/attachments.ts';

const PROVE = 'https://didcomm.org/present-proof';
const REQUEST = { name: 'proof', version: '1.0', nonce: '7', requested_attributes: { a: { name: 'degree' } }, requested_predicates: {} };
const PROOF = {
  proof: {},
  requested_proof: { revealed_attrs: {}, self_attested_attrs: {}, unrevealed_attrs: {}, predicates: {} },
  identifiers: [],
};
const IDS = { proposals: 'proof-request@v1.0', request_presentations: 'proof-request@v1.0', presentations: 'proof@v1.0' };
const { formatted, body, raw } = formattedBy(IDS);
const base = { protocol: 'present-proof-2.0', thread_id: 'thread-1', initiator: 'external', auto_verify: false, auto_remove: true };
const messages = {
  pres_proposal: formatted('proposals', REQUEST),
  pres_request: formatted('request_presentations', REQUEST),
  pres: formatted('presentations', PROOF),
};
const exchange = exchangeOf({ ...base, ...messages });
const auto = { autoRespondPresentationProposal: true, autoRespondPresentationRequest: true, autoVerifyPresentation: true };
const invited = { ...CONNECTION, state: 'invitation' };
const wanted = { anoncreds: { requested_attributes: REQUEST.requested_attributes, requested_predicates: {} } };
const choice = {
  requested_attributes: { a: { cred_id: 'cred-1', revealed: true } },
  requested_predicates: {},
  self_attested_attributes: {},
};
const route = 'POST /present-proof-2.0/records/{pres_ex_id}';
const peer2018 = { ...CONNECTION, value: { ...CONNECTION.value, agent2018: { profile: 'spec' } } };

table('present-proof-2.0', [
  {
    title: 'waits for the controller',
    message: 'propose-presentation',
    body: body('proposals', REQUEST),
    raw: raw('proposals', REQUEST),
    effects: {
      record: {
        role: 'verifier',
        connection: 'c1',
        states: ['proposal-received'],
        patch: {
          protocol: 'present-proof-2.0',
          thread_id: 'message-1',
          initiator: 'external',
          auto_verify: false,
          auto_remove: true,
          auto_remove_on_failure: false,
          pres_proposal: {
            '@type': 'https://didcomm.org/present-proof/2.0/propose-presentation',
            '@id': 'message-1',
            formats: [{ attach_id: 'a', format: 'anoncreds/proof-request@v1.0' }],
            'proposals~attach': [
              {
                '@id': 'a',
                'mime-type': 'application/json',
                data: {
                  base64:
                    'eyJuYW1lIjoicHJvb2YiLCJ2ZXJzaW9uIjoiMS4wIiwibm9uY2UiOiI3IiwicmVxdWVzdGVkX2F0dHJpYnV0ZXMiOnsiYSI6eyJuYW1lIjoiZGVncmVlIn19LCJyZXF1ZXN0ZWRfcHJlZGljYXRlcyI6e319',
                },
              },
            ],
          },
        },
      },
    },
  },
  {
    title: 'is answered by itself',
    message: 'propose-presentation',
    body: body('proposals', REQUEST),
    raw: raw('proposals', REQUEST),
    settings: auto,
    effects: {
      next: [{ command: 'send-request' }],
      record: {
        role: 'verifier',
        connection: 'c1',
        states: ['proposal-received'],
        patch: {
          protocol: 'present-proof-2.0',
          thread_id: 'message-1',
          initiator: 'external',
          auto_verify: true,
          auto_remove: true,
          auto_remove_on_failure: false,
          pres_proposal: {
            '@type': 'https://didcomm.org/present-proof/2.0/propose-presentation',
            '@id': 'message-1',
            formats: [{ attach_id: 'a', format: 'anoncreds/proof-request@v1.0' }],
            'proposals~attach': [
              {
                '@id': 'a',
                'mime-type': 'application/json',
                data: {
                  base64:
                    'eyJuYW1lIjoicHJvb2YiLCJ2ZXJzaW9uIjoiMS4wIiwibm9uY2UiOiI3IiwicmVxdWVzdGVkX2F0dHJpYnV0ZXMiOnsiYSI6eyJuYW1lIjoiZGVncmVlIn19LCJyZXF1ZXN0ZWRfcHJlZGljYXRlcyI6e319',
                },
              },
            ],
          },
        },
      },
    },
  },
  {
    title: 'without what it names',
    message: 'propose-presentation',
    body: body('proposals', REQUEST),
    error: 'message-invalid',
    text: 'formats and attachments are not one to one',
  },
  {
    title: 'waits for the controller',
    message: 'request-presentation',
    pthid: 'invitation-1',
    body: body('request_presentations', REQUEST),
    raw: raw('request_presentations', REQUEST),
    effects: {
      record: {
        role: 'prover',
        connection: 'c1',
        states: ['request-received'],
        patch: {
          protocol: 'present-proof-2.0',
          thread_id: 'message-1',
          parent_thread_id: 'invitation-1',
          initiator: 'external',
          auto_verify: false,
          auto_remove: true,
          auto_remove_on_failure: false,
          pres_request: {
            '@type': 'https://didcomm.org/present-proof/2.0/request-presentation',
            '@id': 'message-1',
            '~thread': { thid: 'message-1', pthid: 'invitation-1' },
            formats: [{ attach_id: 'a', format: 'anoncreds/proof-request@v1.0' }],
            'request_presentations~attach': [
              {
                '@id': 'a',
                'mime-type': 'application/json',
                data: {
                  base64:
                    'eyJuYW1lIjoicHJvb2YiLCJ2ZXJzaW9uIjoiMS4wIiwibm9uY2UiOiI3IiwicmVxdWVzdGVkX2F0dHJpYnV0ZXMiOnsiYSI6eyJuYW1lIjoiZGVncmVlIn19LCJyZXF1ZXN0ZWRfcHJlZGljYXRlcyI6e319',
                },
              },
            ],
          },
          auto_present: false,
        },
      },
    },
  },
  {
    title: 'is answered by itself',
    message: 'request-presentation',
    body: body('request_presentations', REQUEST),
    raw: raw('request_presentations', REQUEST),
    settings: auto,
    effects: {
      next: [{ command: 'present' }],
      record: {
        role: 'prover',
        connection: 'c1',
        states: ['request-received'],
        patch: {
          protocol: 'present-proof-2.0',
          thread_id: 'message-1',
          initiator: 'external',
          auto_verify: true,
          auto_remove: true,
          auto_remove_on_failure: false,
          pres_request: {
            '@type': 'https://didcomm.org/present-proof/2.0/request-presentation',
            '@id': 'message-1',
            formats: [{ attach_id: 'a', format: 'anoncreds/proof-request@v1.0' }],
            'request_presentations~attach': [
              {
                '@id': 'a',
                'mime-type': 'application/json',
                data: {
                  base64:
                    'eyJuYW1lIjoicHJvb2YiLCJ2ZXJzaW9uIjoiMS4wIiwibm9uY2UiOiI3IiwicmVxdWVzdGVkX2F0dHJpYnV0ZXMiOnsiYSI6eyJuYW1lIjoiZGVncmVlIn19LCJyZXF1ZXN0ZWRfcHJlZGljYXRlcyI6e319',
                },
              },
            ],
          },
          auto_present: true,
        },
      },
    },
  },
  {
    title: 'answers a proposal of ours, by whose flag it is answered',
    message: 'request-presentation',
    body: body('request_presentations', REQUEST),
    raw: raw('request_presentations', REQUEST),
    record: exchange('prover', 'proposal-sent', { auto_present: true }),
    effects: {
      next: [{ command: 'present' }],
      record: {
        role: 'prover',
        connection: 'c1',
        states: ['request-received'],
        patch: {
          pres_request: {
            '@type': 'https://didcomm.org/present-proof/2.0/request-presentation',
            '@id': 'message-1',
            formats: [{ attach_id: 'a', format: 'anoncreds/proof-request@v1.0' }],
            'request_presentations~attach': [
              {
                '@id': 'a',
                'mime-type': 'application/json',
                data: {
                  base64:
                    'eyJuYW1lIjoicHJvb2YiLCJ2ZXJzaW9uIjoiMS4wIiwibm9uY2UiOiI3IiwicmVxdWVzdGVkX2F0dHJpYnV0ZXMiOnsiYSI6eyJuYW1lIjoiZGVncmVlIn19LCJyZXF1ZXN0ZWRfcHJlZGljYXRlcyI6e319',
                },
              },
            ],
          },
          auto_present: true,
        },
      },
    },
  },
  {
    title: 'waits for the controller',
    message: 'presentation',
    body: body('presentations', PROOF),
    raw: raw('presentations', PROOF),
    record: exchange('verifier', 'request-sent'),
    effects: {
      record: {
        states: ['presentation-received'],
        connection: 'c1',
        patch: {
          pres: {
            '@type': 'https://didcomm.org/present-proof/2.0/presentation',
            '@id': 'message-1',
            formats: [{ attach_id: 'a', format: 'anoncreds/proof@v1.0' }],
            'presentations~attach': [
              { '@id': 'a', 'mime-type': 'application/json', data: { base64: /^eyJwcm9vZiI6e30sInJlcXVlc3RlZF9wcm9vZiI6/ } },
            ],
          },
        },
      },
    },
  },
  {
    title: 'is verified by itself',
    message: 'presentation',
    body: body('presentations', PROOF),
    raw: raw('presentations', PROOF),
    record: exchange('verifier', 'request-sent', { auto_verify: true }),
    effects: {
      next: [{ command: 'verify' }],
      record: {
        states: ['presentation-received'],
        connection: 'c1',
        patch: {
          pres: {
            '@type': 'https://didcomm.org/present-proof/2.0/presentation',
            '@id': 'message-1',
            formats: [{ attach_id: 'a', format: 'anoncreds/proof@v1.0' }],
            'presentations~attach': [
              { '@id': 'a', 'mime-type': 'application/json', data: { base64: /^eyJwcm9vZiI6e30sInJlcXVlc3RlZF9wcm9vZiI6/ } },
            ],
          },
        },
      },
    },
  },
  {
    title: 'in a format that was not asked for',
    message: 'presentation',
    body: body('presentations', PROOF, 'hlindy/proof@v2.0'),
    raw: raw('presentations', PROOF),
    record: exchange('verifier', 'request-sent'),
    error: 'message-invalid',
    text: 'an attachment has a format that was not asked for',
  },
  {
    title: 'that nobody asked for',
    message: 'presentation',
    body: body('presentations', PROOF),
    raw: raw('presentations', PROOF),
    error: 'wrong-state',
  },
  {
    title: 'ends the exchange, with what the verifier found',
    acked: { status: 'OK', verification_result: 'true' },
    record: exchange('prover', 'presentation-sent'),
    effects: { record: { states: ['done'], remove: true, patch: { verified: 'true' } } },
  },
  {
    title: 'of a verifier that has no presentation yet',
    acked: { status: 'OK' },
    record: exchange('prover', 'request-received'),
    error: 'wrong-state',
  },
  {
    title: 'ends the exchange',
    problem: { description: { code: 'abandoned', en: 'no' } },
    record: exchange('prover', 'request-received'),
    effects: { record: { states: ['abandoned'], patch: { error_msg: 'abandoned: no' } } },
  },
  {
    title: 'of a choice of the controller is its to mend',
    failed: { result: 'chosen', code: 'bad-request', text: 'no' },
    record: exchange('prover', 'request-received', { auto_present: true }),
    effects: { record: { patch: { error_msg: 'no' } } },
  },
  {
    title: 'of what ran by itself ends the exchange',
    failed: { result: 'presented', code: 'bad-request', text: 'no' },
    record: exchange('prover', 'request-received', { auto_present: true, auto_remove_on_failure: true }),
    effects: {
      problem: { code: 'abandoned', text: 'The exchange was abandoned' },
      record: { states: ['abandoned'], remove: true, patch: { error_msg: 'no' } },
    },
  },
  {
    title: 'sends the presentation',
    result: 'presented',
    output: { made: [{ format: 'anoncreds', value: PROOF }] },
    record: exchange('prover', 'request-received', { error_msg: 'no', waiting_since: NOW }),
    effects: {
      send: [
        {
          message: {
            '@type': 'https://didcomm.org/present-proof/2.0/presentation',
            '@id': 'id-1',
            '~thread': { thid: 'thread-1' },
            formats: [{ attach_id: 'anoncreds', format: 'anoncreds/proof@v1.0' }],
            'presentations~attach': [
              { '@id': 'anoncreds', 'mime-type': 'application/json', data: { base64: /^eyJwcm9vZiI6e30sInJlcXVlc3RlZF9wcm9vZiI6/ } },
            ],
          },
        },
      ],
      record: {
        states: ['presentation-sent'],
        remove: false,
        patch: {
          pres: {
            '@type': 'https://didcomm.org/present-proof/2.0/presentation',
            '@id': 'id-1',
            '~thread': { thid: 'thread-1' },
            formats: [{ attach_id: 'anoncreds', format: 'anoncreds/proof@v1.0' }],
            'presentations~attach': [
              { '@id': 'anoncreds', 'mime-type': 'application/json', data: { base64: /^eyJwcm9vZiI6e30sInJlcXVlc3RlZF9wcm9vZiI6/ } },
            ],
          },
          error_msg: REMOVED,
          waiting_since: REMOVED,
        },
      },
    },
  },
  {
    title: 'waits for a credential on its way',
    result: 'presented',
    output: { made: [{ format: 'indy', waits: true }] },
    record: exchange('prover', 'request-received'),
    effects: { next: [{ command: 'present', after: 250 }], record: { patch: { waiting_since: 1893553445000 } } },
  },
  {
    title: 'sends the presentation',
    result: 'chosen',
    output: { made: [{ format: 'anoncreds', value: PROOF }] },
    record: exchange('prover', 'request-received'),
    effects: {
      send: [
        {
          message: {
            '@type': 'https://didcomm.org/present-proof/2.0/presentation',
            '@id': 'id-1',
            '~thread': { thid: 'thread-1' },
            formats: [{ attach_id: 'anoncreds', format: 'anoncreds/proof@v1.0' }],
            'presentations~attach': [
              { '@id': 'anoncreds', 'mime-type': 'application/json', data: { base64: /^eyJwcm9vZiI6e30sInJlcXVlc3RlZF9wcm9vZiI6/ } },
            ],
          },
        },
      ],
      record: {
        states: ['presentation-sent'],
        remove: false,
        patch: {
          pres: {
            '@type': 'https://didcomm.org/present-proof/2.0/presentation',
            '@id': 'id-1',
            '~thread': { thid: 'thread-1' },
            formats: [{ attach_id: 'anoncreds', format: 'anoncreds/proof@v1.0' }],
            'presentations~attach': [
              { '@id': 'anoncreds', 'mime-type': 'application/json', data: { base64: /^eyJwcm9vZiI6e30sInJlcXVlc3RlZF9wcm9vZiI6/ } },
            ],
          },
        },
      },
    },
  },
  {
    title: 'is the end for a peer that never acknowledges',
    result: 'chosen',
    output: { made: [{ format: 'anoncreds', value: PROOF }] },
    record: exchange('prover', 'request-received'),
    connection: peer2018,
    effects: {
      send: [
        {
          message: {
            '@type': 'https://didcomm.org/present-proof/2.0/presentation',
            '@id': 'id-1',
            '~thread': { thid: 'thread-1' },
            formats: [{ attach_id: 'anoncreds', format: 'anoncreds/proof@v1.0' }],
            'presentations~attach': [
              { '@id': 'anoncreds', 'mime-type': 'application/json', data: { base64: /^eyJwcm9vZiI6e30sInJlcXVlc3RlZF9wcm9vZiI6/ } },
            ],
          },
        },
      ],
      record: {
        states: ['presentation-sent', 'done'],
        remove: true,
        patch: {
          pres: {
            '@type': 'https://didcomm.org/present-proof/2.0/presentation',
            '@id': 'id-1',
            '~thread': { thid: 'thread-1' },
            formats: [{ attach_id: 'anoncreds', format: 'anoncreds/proof@v1.0' }],
            'presentations~attach': [
              { '@id': 'anoncreds', 'mime-type': 'application/json', data: { base64: /^eyJwcm9vZiI6e30sInJlcXVlc3RlZF9wcm9vZiI6/ } },
            ],
          },
        },
      },
    },
  },
  {
    title: 'ends the exchange and sends the prover a report',
    result: 'checked',
    output: { made: [{ format: 'indy', verified: true, reasons: [] }] },
    record: exchange('verifier', 'presentation-received'),
    effects: {
      send: [{ type: 'ack', body: { status: 'OK', verification_result: 'true' } }],
      record: { states: ['done'], remove: true, patch: { verified: 'true', verified_msgs: [] } },
    },
  },
  {
    title: 'ends the exchange where nothing was proven',
    result: 'checked',
    output: { made: [{ format: 'indy', verified: false, reasons: ['no'] }] },
    record: exchange('verifier', 'presentation-received', { auto_remove: false }),
    effects: {
      send: [{ type: 'ack', body: { status: 'OK', verification_result: 'false' } }],
      record: { states: ['done'], remove: false, patch: { verified: 'false', verified_msgs: ['no'] } },
    },
  },
  {
    title: 'comes twice',
    result: 'checked',
    output: { made: [{ format: 'indy', verified: true, reasons: [] }] },
    record: exchange('verifier', 'done'),
    error: 'wrong-state',
  },
  {
    title: 'sends the proposal',
    command: 'POST /present-proof-2.0/send-proposal',
    body: { connection_id: 'c1', presentation_proposal: wanted, comment: 'hi' },
    connection: CONNECTION,
    effects: {
      send: [
        {
          message: {
            '@type': 'https://didcomm.org/present-proof/2.0/propose-presentation',
            '@id': 'id-1',
            comment: 'hi',
            formats: [{ attach_id: 'anoncreds', format: 'anoncreds/proof-request@v1.0' }],
            'proposals~attach': [
              { '@id': 'anoncreds', 'mime-type': 'application/json', data: { base64: /^eyJuYW1lIjoicHJvb2YtcmVxdWVzdCIsInZlcnNp/ } },
            ],
          },
        },
      ],
      record: {
        role: 'prover',
        connection: 'c1',
        states: ['proposal-sent'],
        patch: {
          protocol: 'present-proof-2.0',
          initiator: 'self',
          auto_remove: true,
          auto_remove_on_failure: false,
          thread_id: 'id-1',
          pres_proposal: {
            '@type': 'https://didcomm.org/present-proof/2.0/propose-presentation',
            '@id': 'id-1',
            comment: 'hi',
            formats: [{ attach_id: 'anoncreds', format: 'anoncreds/proof-request@v1.0' }],
            'proposals~attach': [
              { '@id': 'anoncreds', 'mime-type': 'application/json', data: { base64: /^eyJuYW1lIjoicHJvb2YtcmVxdWVzdCIsInZlcnNp/ } },
            ],
          },
          auto_present: false,
        },
      },
    },
  },
  {
    title: 'needs a connection that can be written to',
    command: 'POST /present-proof-2.0/send-proposal',
    body: { connection_id: 'c1', presentation_proposal: wanted },
    connection: invited,
    error: 'bad-request',
    text: 'Connection c1 not ready',
  },
  {
    title: 'without a connection',
    command: 'POST /present-proof-2.0/create-request',
    body: { presentation_request: wanted, auto_verify: true },
    connection: null,
    effects: {
      record: {
        role: 'verifier',
        states: ['request-sent'],
        patch: {
          protocol: 'present-proof-2.0',
          initiator: 'self',
          auto_remove: true,
          auto_remove_on_failure: false,
          auto_verify: true,
          thread_id: 'id-1',
          pres_request: {
            '@type': 'https://didcomm.org/present-proof/2.0/request-presentation',
            '@id': 'id-1',
            will_confirm: true,
            formats: [{ attach_id: 'anoncreds', format: 'anoncreds/proof-request@v1.0' }],
            'request_presentations~attach': [
              { '@id': 'anoncreds', 'mime-type': 'application/json', data: { base64: /^eyJuYW1lIjoicHJvb2YtcmVxdWVzdCIsInZlcnNp/ } },
            ],
          },
        },
      },
    },
  },
  {
    title: 'sends the request, with a nonce',
    command: 'POST /present-proof-2.0/send-request',
    body: { connection_id: 'c1', presentation_request: { indy: REQUEST, anoncreds: wanted.anoncreds }, auto_remove: false },
    connection: CONNECTION,
    effects: {
      send: [
        {
          message: {
            '@type': 'https://didcomm.org/present-proof/2.0/request-presentation',
            '@id': 'id-1',
            will_confirm: true,
            formats: [
              { attach_id: 'anoncreds', format: 'anoncreds/proof-request@v1.0' },
              { attach_id: 'indy', format: 'hlindy/proof-req@v2.0' },
            ],
            'request_presentations~attach': [
              { '@id': 'anoncreds', 'mime-type': 'application/json', data: { base64: /^eyJuYW1lIjoicHJvb2YtcmVxdWVzdCIsInZlcnNp/ } },
              {
                '@id': 'indy',
                'mime-type': 'application/json',
                data: {
                  base64:
                    'eyJuYW1lIjoicHJvb2YiLCJ2ZXJzaW9uIjoiMS4wIiwibm9uY2UiOiI3IiwicmVxdWVzdGVkX2F0dHJpYnV0ZXMiOnsiYSI6eyJuYW1lIjoiZGVncmVlIn19LCJyZXF1ZXN0ZWRfcHJlZGljYXRlcyI6e319',
                },
              },
            ],
          },
        },
      ],
      record: {
        role: 'verifier',
        connection: 'c1',
        states: ['request-sent'],
        patch: {
          protocol: 'present-proof-2.0',
          initiator: 'self',
          auto_remove: false,
          auto_remove_on_failure: false,
          auto_verify: false,
          thread_id: 'id-1',
          pres_request: {
            '@type': 'https://didcomm.org/present-proof/2.0/request-presentation',
            '@id': 'id-1',
            will_confirm: true,
            formats: [
              { attach_id: 'anoncreds', format: 'anoncreds/proof-request@v1.0' },
              { attach_id: 'indy', format: 'hlindy/proof-req@v2.0' },
            ],
            'request_presentations~attach': [
              { '@id': 'anoncreds', 'mime-type': 'application/json', data: { base64: /^eyJuYW1lIjoicHJvb2YtcmVxdWVzdCIsInZlcnNp/ } },
              {
                '@id': 'indy',
                'mime-type': 'application/json',
                data: {
                  base64:
                    'eyJuYW1lIjoicHJvb2YiLCJ2ZXJzaW9uIjoiMS4wIiwibm9uY2UiOiI3IiwicmVxdWVzdGVkX2F0dHJpYnV0ZXMiOnsiYSI6eyJuYW1lIjoiZGVncmVlIn19LCJyZXF1ZXN0ZWRfcHJlZGljYXRlcyI6e319',
                },
              },
            ],
          },
        },
      },
    },
  },
  {
    title: 'needs a connection that can be written to',
    command: 'POST /present-proof-2.0/send-request',
    body: { connection_id: 'c1', presentation_request: wanted },
    connection: invited,
    error: 'bad-request',
    text: 'Connection c1 not ready',
  },
  {
    title: 'without a format',
    command: 'POST /present-proof-2.0/create-request',
    body: { presentation_request: {} },
    connection: null,
    error: 'unprocessable',
    text: 'presentation_request: one of anoncreds, indy is required',
  },
  {
    title: 'of a format that is not there yet',
    command: 'POST /present-proof-2.0/create-request',
    body: { presentation_request: { dif: {} } },
    connection: null,
    error: 'not-implemented',
    text: 'The format dif is not supported yet',
  },
  {
    title: 'asks for what was proposed',
    command: `${route}/send-request`,
    record: exchange('verifier', 'proposal-received'),
    effects: {
      send: [
        {
          message: {
            '@type': 'https://didcomm.org/present-proof/2.0/request-presentation',
            '@id': 'id-1',
            '~thread': { thid: 'thread-1' },
            will_confirm: true,
            formats: [{ attach_id: 'anoncreds', format: 'anoncreds/proof-request@v1.0' }],
            'request_presentations~attach': [
              {
                '@id': 'anoncreds',
                'mime-type': 'application/json',
                data: {
                  base64:
                    'eyJuYW1lIjoicHJvb2YiLCJ2ZXJzaW9uIjoiMS4wIiwibm9uY2UiOiI3IiwicmVxdWVzdGVkX2F0dHJpYnV0ZXMiOnsiYSI6eyJuYW1lIjoiZGVncmVlIn19LCJyZXF1ZXN0ZWRfcHJlZGljYXRlcyI6e319',
                },
              },
            ],
          },
        },
      ],
      record: {
        role: 'verifier',
        connection: 'c1',
        states: ['request-sent'],
        patch: {
          auto_verify: false,
          thread_id: 'thread-1',
          pres_request: {
            '@type': 'https://didcomm.org/present-proof/2.0/request-presentation',
            '@id': 'id-1',
            '~thread': { thid: 'thread-1' },
            will_confirm: true,
            formats: [{ attach_id: 'anoncreds', format: 'anoncreds/proof-request@v1.0' }],
            'request_presentations~attach': [
              {
                '@id': 'anoncreds',
                'mime-type': 'application/json',
                data: {
                  base64:
                    'eyJuYW1lIjoicHJvb2YiLCJ2ZXJzaW9uIjoiMS4wIiwibm9uY2UiOiI3IiwicmVxdWVzdGVkX2F0dHJpYnV0ZXMiOnsiYSI6eyJuYW1lIjoiZGVncmVlIn19LCJyZXF1ZXN0ZWRfcHJlZGljYXRlcyI6e319',
                },
              },
            ],
          },
        },
      },
    },
  },
  {
    title: 'orders the presentation that was chosen',
    command: `${route}/send-presentation`,
    body: { anoncreds: choice, auto_remove: false },
    record: exchange('prover', 'request-received'),
    effects: {
      work: [
        act(
          'anoncreds/present',
          {
            request: {
              name: 'proof',
              version: '1.0',
              nonce: '7',
              requested_attributes: { a: { name: 'degree' } },
              requested_predicates: {},
            },
            choice: {
              requested_attributes: { a: { cred_id: 'cred-1', revealed: true } },
              requested_predicates: {},
              self_attested_attributes: {},
            },
            proposal: REQUEST,
            patient: false,
          },
          'chosen',
        ),
      ],
      record: { patch: { auto_remove: false } },
    },
  },
  {
    title: 'of another format than was asked for',
    command: `${route}/send-presentation`,
    body: { indy: choice },
    record: exchange('prover', 'request-received'),
    error: 'bad-request',
    text: 'The request does not ask for the format indy',
  },
  {
    title: 'that does not answer what was asked',
    command: `${route}/send-presentation`,
    body: { anoncreds: { ...choice, requested_attributes: {} } },
    record: exchange('prover', 'request-received'),
    error: 'bad-request',
    text: 'The requested attribute a has no answer',
  },
  {
    title: 'orders a presentation that the wallet chooses, with what was proposed in mind',
    command: 'present',
    record: exchange('prover', 'request-received'),
    effects: {
      work: [
        act(
          'anoncreds/present',
          {
            request: {
              name: 'proof',
              version: '1.0',
              nonce: '7',
              requested_attributes: { a: { name: 'degree' } },
              requested_predicates: {},
            },
            choice: null,
            proposal: REQUEST,
            patient: true,
          },
          'presented',
        ),
      ],
      record: {},
    },
  },
  {
    title: 'waits no longer',
    command: 'present',
    record: exchange('prover', 'request-received', { waiting_since: NOW - 3_600_000 }),
    effects: {
      work: [
        act(
          'anoncreds/present',
          {
            request: {
              name: 'proof',
              version: '1.0',
              nonce: '7',
              requested_attributes: { a: { name: 'degree' } },
              requested_predicates: {},
            },
            choice: null,
            proposal: REQUEST,
            patient: true,
          },
          'presented',
        ),
      ],
      record: {},
    },
  },
  {
    title: 'orders the verification of all that was given',
    command: `${route}/verify-presentation`,
    record: exchange('verifier', 'presentation-received'),
    effects: {
      work: [
        act(
          'anoncreds/verify',
          {
            request: {
              name: 'proof',
              version: '1.0',
              nonce: '7',
              requested_attributes: { a: { name: 'degree' } },
              requested_predicates: {},
            },
            presentation: {
              proof: {},
              requested_proof: { revealed_attrs: {}, self_attested_attrs: {}, unrevealed_attrs: {}, predicates: {} },
              identifiers: [],
            },
          },
          'checked',
        ),
      ],
      record: {},
    },
  },
  {
    title: 'ends the exchange',
    command: `${route}/problem-report`,
    body: { description: 'no' },
    record: exchange('prover', 'request-received'),
    effects: {
      problem: { code: 'abandoned', text: 'no' },
      answer: {},
      record: { states: ['abandoned'], patch: { error_msg: 'created problem report: no' } },
    },
  },
  {
    title: 'of an exchange that is done',
    command: `${route}/problem-report`,
    body: { description: 'no' },
    record: exchange('prover', 'done'),
    error: 'wrong-state',
  },
]);

const old = (field: 'request_presentations' | 'presentations', value: object) => ({ [field]: [base64Attachment(value as never, 'a')] });
const base1 = { protocol: 'present-proof-1.0', thread_id: 'thread-1', initiator: 'external', auto_verify: false, auto_remove: true };
const preview = { '@type': `${PROVE}/1.0/presentation-preview`, attributes: [{ name: 'degree', cred_def_id: 'cd1' }], predicates: [] };
const proposal1 = { '@type': `${PROVE}/1.0/propose-presentation`, '@id': 'p', comment: 'hi', presentation_proposal: preview };
const exchange1 = (role: string, state: string, value = {}) => ({
  id: 'x1',
  role,
  state,
  connection: 'c1',
  value: { ...base1, presentation_request: REQUEST, presentation: PROOF, ...value },
});
const proposed = {
  ...proposal1,
  presentation_proposal: { ...preview, attributes: [{ name: 'degree', cred_def_id: 'cd1', value: 'Maths' }] },
};
const revealing = (raw: string) => ({
  ...PROOF,
  requested_proof: { ...PROOF.requested_proof, revealed_attrs: { a: { sub_proof_index: 0, raw, encoded: '1' } } },
  identifiers: [{ cred_def_id: 'cd1' }],
});
const route1 = 'POST /present-proof/records/{pres_ex_id}';

table('present-proof-1.0', [
  {
    title: 'waits for the controller',
    message: 'propose-presentation',
    body: { presentation_proposal: preview },
    effects: {
      record: {
        role: 'verifier',
        connection: 'c1',
        states: ['proposal_received'],
        patch: {
          protocol: 'present-proof-1.0',
          thread_id: 'message-1',
          initiator: 'external',
          auto_present: false,
          auto_verify: false,
          auto_remove: true,
          presentation_proposal_dict: {
            '@type': 'https://didcomm.org/present-proof/1.0/propose-presentation',
            '@id': 'message-1',
            presentation_proposal: {
              '@type': 'https://didcomm.org/present-proof/1.0/presentation-preview',
              attributes: [{ name: 'degree', cred_def_id: 'cd1' }],
              predicates: [],
            },
          },
        },
      },
    },
  },
  {
    title: 'is answered by itself',
    message: 'propose-presentation',
    body: { presentation_proposal: preview },
    settings: auto,
    effects: {
      next: [{ command: 'send-request' }],
      record: {
        role: 'verifier',
        connection: 'c1',
        states: ['proposal_received'],
        patch: {
          protocol: 'present-proof-1.0',
          thread_id: 'message-1',
          initiator: 'external',
          auto_present: false,
          auto_verify: true,
          auto_remove: true,
          presentation_proposal_dict: {
            '@type': 'https://didcomm.org/present-proof/1.0/propose-presentation',
            '@id': 'message-1',
            presentation_proposal: {
              '@type': 'https://didcomm.org/present-proof/1.0/presentation-preview',
              attributes: [{ name: 'degree', cred_def_id: 'cd1' }],
              predicates: [],
            },
          },
        },
      },
    },
  },
  { title: 'without a preview', message: 'propose-presentation', error: 'message-invalid' },
  {
    title: 'waits for the controller',
    message: 'request-presentation',
    attachments: old('request_presentations', REQUEST),
    effects: {
      record: {
        role: 'prover',
        connection: 'c1',
        states: ['request_received'],
        patch: {
          protocol: 'present-proof-1.0',
          thread_id: 'message-1',
          initiator: 'external',
          auto_present: false,
          auto_verify: false,
          auto_remove: true,
          presentation_request_dict: {
            '@type': 'https://didcomm.org/present-proof/1.0/request-presentation',
            '@id': 'message-1',
            'request_presentations~attach': [
              {
                '@id': 'a',
                'mime-type': 'application/json',
                data: {
                  base64:
                    'eyJuYW1lIjoicHJvb2YiLCJ2ZXJzaW9uIjoiMS4wIiwibm9uY2UiOiI3IiwicmVxdWVzdGVkX2F0dHJpYnV0ZXMiOnsiYSI6eyJuYW1lIjoiZGVncmVlIn19LCJyZXF1ZXN0ZWRfcHJlZGljYXRlcyI6e319',
                },
              },
            ],
          },
          presentation_request: {
            name: 'proof',
            version: '1.0',
            nonce: '7',
            requested_attributes: { a: { name: 'degree' } },
            requested_predicates: {},
          },
        },
      },
    },
  },
  {
    title: 'is answered by itself',
    message: 'request-presentation',
    attachments: old('request_presentations', REQUEST),
    settings: auto,
    effects: {
      next: [{ command: 'present' }],
      record: {
        role: 'prover',
        connection: 'c1',
        states: ['request_received'],
        patch: {
          protocol: 'present-proof-1.0',
          thread_id: 'message-1',
          initiator: 'external',
          auto_present: true,
          auto_verify: true,
          auto_remove: true,
          presentation_request_dict: {
            '@type': 'https://didcomm.org/present-proof/1.0/request-presentation',
            '@id': 'message-1',
            'request_presentations~attach': [
              {
                '@id': 'a',
                'mime-type': 'application/json',
                data: {
                  base64:
                    'eyJuYW1lIjoicHJvb2YiLCJ2ZXJzaW9uIjoiMS4wIiwibm9uY2UiOiI3IiwicmVxdWVzdGVkX2F0dHJpYnV0ZXMiOnsiYSI6eyJuYW1lIjoiZGVncmVlIn19LCJyZXF1ZXN0ZWRfcHJlZGljYXRlcyI6e319',
                },
              },
            ],
          },
          presentation_request: {
            name: 'proof',
            version: '1.0',
            nonce: '7',
            requested_attributes: { a: { name: 'degree' } },
            requested_predicates: {},
          },
        },
      },
    },
  },
  {
    title: 'without an attachment',
    message: 'request-presentation',
    error: 'message-invalid',
    text: 'the attached proof request is not a JSON object',
  },
  {
    title: 'waits for the controller',
    message: 'presentation',
    attachments: old('presentations', PROOF),
    record: exchange1('verifier', 'request_sent'),
    effects: {
      record: {
        states: ['presentation_received'],
        connection: 'c1',
        patch: {
          presentation: {
            proof: {},
            requested_proof: { revealed_attrs: {}, self_attested_attrs: {}, unrevealed_attrs: {}, predicates: {} },
            identifiers: [],
          },
        },
      },
    },
  },
  {
    title: 'is verified by itself',
    message: 'presentation',
    attachments: old('presentations', PROOF),
    record: exchange1('verifier', 'request_sent', { auto_verify: true }),
    effects: {
      next: [{ command: 'verify' }],
      record: {
        states: ['presentation_received'],
        connection: 'c1',
        patch: {
          presentation: {
            proof: {},
            requested_proof: { revealed_attrs: {}, self_attested_attrs: {}, unrevealed_attrs: {}, predicates: {} },
            identifiers: [],
          },
        },
      },
    },
  },
  {
    title: 'that is not what was proposed ends the exchange',
    message: 'presentation',
    attachments: old('presentations', revealing('Physics')),
    record: exchange1('verifier', 'request_sent', { presentation_proposal_dict: proposed }),
    effects: {
      problem: { code: 'abandoned', text: 'The presentation does not match its proposal' },
      record: { states: ['abandoned'], connection: 'c1', patch: { error_msg: 'Presentation degree=Physics mismatches proposal value' } },
    },
  },
  {
    title: 'that is what was proposed goes on',
    message: 'presentation',
    attachments: old('presentations', revealing('Maths')),
    record: exchange1('verifier', 'request_sent', { presentation_proposal_dict: proposed }),
    effects: {
      record: {
        states: ['presentation_received'],
        connection: 'c1',
        patch: {
          presentation: {
            proof: {},
            requested_proof: {
              revealed_attrs: { a: { sub_proof_index: 0, raw: 'Maths', encoded: '1' } },
              self_attested_attrs: {},
              unrevealed_attrs: {},
              predicates: {},
            },
            identifiers: [{ cred_def_id: 'cd1' }],
          },
        },
      },
    },
  },
  {
    title: 'ends the exchange, with what the verifier found',
    acked: { status: 'OK', verification_result: 'false' },
    record: exchange1('prover', 'presentation_sent'),
    effects: { record: { states: ['presentation_acked'], remove: true, patch: { verified: 'false' } } },
  },
  {
    title: 'with a result that is none',
    acked: { status: 'OK', verification_result: 'perhaps' },
    record: exchange1('prover', 'presentation_sent'),
    effects: { record: { states: ['presentation_acked'], remove: true } },
  },
  {
    title: 'ends the exchange',
    problem: { explain: 'no' },
    record: exchange1('prover', 'request_received'),
    effects: { record: { states: ['abandoned'], patch: { error_msg: 'no' } } },
  },
  {
    title: 'of a choice of the controller is its to mend',
    failed: { result: 'chosen', code: 'bad-request', text: 'no' },
    record: exchange1('prover', 'request_received'),
    effects: { record: { patch: { error_msg: 'no' } } },
  },
  {
    title: 'of what ran by itself ends the exchange',
    failed: { result: 'presented', code: 'bad-request', text: 'no' },
    record: exchange1('prover', 'request_received', { auto_present: true }),
    effects: {
      problem: { code: 'abandoned', text: 'The exchange was abandoned' },
      record: { states: ['abandoned'], patch: { error_msg: 'no' } },
    },
  },
  {
    title: 'sends the presentation',
    result: 'presented',
    output: { made: [{ format: 'indy', value: PROOF }] },
    record: exchange1('prover', 'request_received', { waiting_since: NOW }),
    effects: {
      send: [
        {
          message: {
            '@type': 'https://didcomm.org/present-proof/1.0/presentation',
            '@id': 'id-1',
            '~thread': { thid: 'thread-1' },
            'presentations~attach': [
              {
                '@id': 'libindy-presentation-0',
                'mime-type': 'application/json',
                data: { base64: /^eyJwcm9vZiI6e30sInJlcXVlc3RlZF9wcm9vZiI6/ },
              },
            ],
          },
        },
      ],
      record: {
        states: ['presentation_sent'],
        remove: false,
        patch: {
          presentation: {
            proof: {},
            requested_proof: { revealed_attrs: {}, self_attested_attrs: {}, unrevealed_attrs: {}, predicates: {} },
            identifiers: [],
          },
          waiting_since: REMOVED,
        },
      },
    },
  },
  {
    title: 'waits for a credential on its way',
    result: 'presented',
    output: { made: [{ format: 'indy', waits: true }] },
    record: exchange1('prover', 'request_received'),
    effects: { next: [{ command: 'present', after: 250 }], record: { patch: { waiting_since: 1893553445000 } } },
  },
  {
    title: 'sends the presentation',
    result: 'chosen',
    output: { made: [{ format: 'indy', value: PROOF }] },
    record: exchange1('prover', 'request_received'),
    effects: {
      send: [
        {
          message: {
            '@type': 'https://didcomm.org/present-proof/1.0/presentation',
            '@id': 'id-1',
            '~thread': { thid: 'thread-1' },
            'presentations~attach': [
              {
                '@id': 'libindy-presentation-0',
                'mime-type': 'application/json',
                data: { base64: /^eyJwcm9vZiI6e30sInJlcXVlc3RlZF9wcm9vZiI6/ },
              },
            ],
          },
        },
      ],
      record: {
        states: ['presentation_sent'],
        remove: false,
        patch: {
          presentation: {
            proof: {},
            requested_proof: { revealed_attrs: {}, self_attested_attrs: {}, unrevealed_attrs: {}, predicates: {} },
            identifiers: [],
          },
        },
      },
    },
  },
  {
    title: 'ends the exchange and sends the prover a report',
    result: 'checked',
    output: { made: [{ format: 'indy', verified: true, reasons: [] }] },
    record: exchange1('verifier', 'presentation_received'),
    effects: {
      send: [{ type: 'ack', body: { status: 'OK', verification_result: 'true' } }],
      record: { states: ['verified'], remove: true, patch: { verified: 'true', verified_msgs: [] } },
    },
  },
  {
    title: 'sends the proposal',
    command: 'POST /present-proof/send-proposal',
    body: { connection_id: 'c1', presentation_proposal: { attributes: preview.attributes, predicates: [] } },
    connection: CONNECTION,
    effects: {
      send: [
        {
          message: {
            '@type': 'https://didcomm.org/present-proof/1.0/propose-presentation',
            '@id': 'id-1',
            presentation_proposal: {
              attributes: [{ name: 'degree', cred_def_id: 'cd1' }],
              predicates: [],
              '@type': 'https://didcomm.org/present-proof/1.0/presentation-preview',
            },
          },
        },
      ],
      record: {
        role: 'prover',
        connection: 'c1',
        states: ['proposal_sent'],
        patch: {
          protocol: 'present-proof-1.0',
          initiator: 'self',
          auto_present: false,
          auto_verify: false,
          auto_remove: true,
          thread_id: 'id-1',
          presentation_proposal_dict: {
            '@type': 'https://didcomm.org/present-proof/1.0/propose-presentation',
            '@id': 'id-1',
            presentation_proposal: {
              attributes: [{ name: 'degree', cred_def_id: 'cd1' }],
              predicates: [],
              '@type': 'https://didcomm.org/present-proof/1.0/presentation-preview',
            },
          },
        },
      },
    },
  },
  {
    title: 'without a connection',
    command: 'POST /present-proof/create-request',
    body: { proof_request: REQUEST },
    connection: null,
    effects: {
      record: {
        role: 'verifier',
        states: ['request_sent'],
        patch: {
          protocol: 'present-proof-1.0',
          initiator: 'self',
          auto_present: false,
          auto_verify: false,
          auto_remove: true,
          thread_id: 'id-1',
          presentation_request_dict: {
            '@type': 'https://didcomm.org/present-proof/1.0/request-presentation',
            '@id': 'id-1',
            'request_presentations~attach': [
              {
                '@id': 'libindy-request-presentation-0',
                'mime-type': 'application/json',
                data: {
                  base64:
                    'eyJuYW1lIjoicHJvb2YiLCJ2ZXJzaW9uIjoiMS4wIiwibm9uY2UiOiI3IiwicmVxdWVzdGVkX2F0dHJpYnV0ZXMiOnsiYSI6eyJuYW1lIjoiZGVncmVlIn19LCJyZXF1ZXN0ZWRfcHJlZGljYXRlcyI6e319',
                },
              },
            ],
          },
          presentation_request: {
            name: 'proof',
            version: '1.0',
            nonce: '7',
            requested_attributes: { a: { name: 'degree' } },
            requested_predicates: {},
          },
        },
      },
    },
  },
  {
    title: 'sends the request, with a nonce',
    command: 'POST /present-proof/send-request',
    body: { connection_id: 'c1', proof_request: wanted.anoncreds, comment: 'hi' },
    connection: CONNECTION,
    effects: {
      send: [
        {
          message: {
            '@type': 'https://didcomm.org/present-proof/1.0/request-presentation',
            '@id': 'id-1',
            comment: 'hi',
            'request_presentations~attach': [
              {
                '@id': 'libindy-request-presentation-0',
                'mime-type': 'application/json',
                data: { base64: /^eyJuYW1lIjoicHJvb2YtcmVxdWVzdCIsInZlcnNp/ },
              },
            ],
          },
        },
      ],
      record: {
        role: 'verifier',
        connection: 'c1',
        states: ['request_sent'],
        patch: {
          protocol: 'present-proof-1.0',
          initiator: 'self',
          auto_present: false,
          auto_verify: false,
          auto_remove: true,
          thread_id: 'id-1',
          presentation_request_dict: {
            '@type': 'https://didcomm.org/present-proof/1.0/request-presentation',
            '@id': 'id-1',
            comment: 'hi',
            'request_presentations~attach': [
              {
                '@id': 'libindy-request-presentation-0',
                'mime-type': 'application/json',
                data: { base64: /^eyJuYW1lIjoicHJvb2YtcmVxdWVzdCIsInZlcnNp/ },
              },
            ],
          },
          presentation_request: {
            name: 'proof-request',
            version: '1.0',
            requested_attributes: { a: { name: 'degree' } },
            requested_predicates: {},
            nonce: '1001',
          },
        },
      },
    },
  },
  {
    title: 'needs a connection that can be written to',
    command: 'POST /present-proof/send-request',
    body: { connection_id: 'c1', proof_request: REQUEST },
    connection: invited,
    error: 'bad-request',
    text: 'Connection c1 not ready',
  },
  {
    title: 'asks for what was proposed',
    command: `${route1}/send-request`,
    record: exchange1('verifier', 'proposal_received', { presentation_proposal_dict: proposal1 }),
    effects: {
      send: [
        {
          message: {
            '@type': 'https://didcomm.org/present-proof/1.0/request-presentation',
            '@id': 'id-1',
            '~thread': { thid: 'thread-1' },
            comment: 'hi',
            'request_presentations~attach': [
              {
                '@id': 'libindy-request-presentation-0',
                'mime-type': 'application/json',
                data: { base64: /^eyJuYW1lIjoicHJvb2YtcmVxdWVzdCIsInZlcnNp/ },
              },
            ],
          },
        },
      ],
      record: {
        role: 'verifier',
        connection: 'c1',
        states: ['request_sent'],
        patch: {
          auto_verify: false,
          thread_id: 'thread-1',
          presentation_request_dict: {
            '@type': 'https://didcomm.org/present-proof/1.0/request-presentation',
            '@id': 'id-1',
            '~thread': { thid: 'thread-1' },
            comment: 'hi',
            'request_presentations~attach': [
              {
                '@id': 'libindy-request-presentation-0',
                'mime-type': 'application/json',
                data: { base64: /^eyJuYW1lIjoicHJvb2YtcmVxdWVzdCIsInZlcnNp/ },
              },
            ],
          },
          presentation_request: {
            name: 'proof-request',
            version: '1.0',
            requested_attributes: { '0_degree_uuid': { name: 'degree', restrictions: [{ cred_def_id: 'cd1' }] } },
            requested_predicates: {},
            nonce: '1001',
          },
        },
      },
    },
  },
  {
    title: 'orders the presentation that was chosen',
    command: `${route1}/send-presentation`,
    body: choice,
    record: exchange1('prover', 'request_received'),
    effects: {
      work: [
        act(
          'indy/present',
          {
            request: {
              name: 'proof',
              version: '1.0',
              nonce: '7',
              requested_attributes: { a: { name: 'degree' } },
              requested_predicates: {},
            },
            choice: {
              requested_attributes: { a: { cred_id: 'cred-1', revealed: true } },
              requested_predicates: {},
              self_attested_attributes: {},
            },
            proposal: null,
            patient: false,
          },
          'chosen',
        ),
      ],
      record: {},
    },
  },
  {
    title: 'orders a presentation that the wallet chooses',
    command: 'present',
    record: exchange1('prover', 'request_received', { presentation_proposal_dict: proposal1 }),
    effects: {
      work: [
        act(
          'indy/present',
          {
            request: {
              name: 'proof',
              version: '1.0',
              nonce: '7',
              requested_attributes: { a: { name: 'degree' } },
              requested_predicates: {},
            },
            choice: null,
            proposal: preview,
            patient: true,
          },
          'presented',
        ),
      ],
      record: {},
    },
  },
  {
    title: 'orders the verification',
    command: `${route1}/verify-presentation`,
    record: exchange1('verifier', 'presentation_received'),
    effects: {
      work: [
        act(
          'indy/verify',
          {
            request: {
              name: 'proof',
              version: '1.0',
              nonce: '7',
              requested_attributes: { a: { name: 'degree' } },
              requested_predicates: {},
            },
            presentation: {
              proof: {},
              requested_proof: { revealed_attrs: {}, self_attested_attrs: {}, unrevealed_attrs: {}, predicates: {} },
              identifiers: [],
            },
          },
          'checked',
        ),
      ],
      record: {},
    },
  },
  {
    title: 'ends the exchange',
    command: `${route1}/problem-report`,
    body: { description: 'no' },
    record: exchange1('prover', 'request_received'),
    effects: {
      problem: { code: 'abandoned', text: 'no' },
      answer: {},
      record: { states: ['abandoned'], patch: { error_msg: 'created problem report: no' } },
    },
  },
]);
