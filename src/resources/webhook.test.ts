import { table } from '../../test/support/steps.ts';

table('webhook', [
  {
    title: 'is tested by an event',
    command: 'POST /webhooks/test',
    effects: {
      emit: [{ topic: 'webhook_test', payload: { text: 'A test event', time: '2030-01-02T03:04:05.000000Z' } }],
      answer: { topic: 'webhook_test' },
    },
  },
]);
