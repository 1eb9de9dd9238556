import type { Row } from '../rows/rows.ts';

export const MUTATIONS: readonly Row[] = [
  {
    id: 'A11',
    text: 'what signs a webhook does not travel with it',
    mutation: {
      file: 'src/workers/events.ts',
      from: 'const secret = await kernel.webhookSecrets.of(target.owner || job.tenant);',
      to: 'const secret = target.key ?? (await kernel.webhookSecrets.of(target.owner || job.tenant));',
    },
  },
  {
    id: 'A11-2',
    text: 'the signature covers time, event, topic and wallet',
    mutation: {
      file: 'src/kernel/webhook-secret.ts',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: a line of the product
      from: '`${time}.${event}.${topic}.${wallet}.${body}`',
      to: 'body',
    },
  },
  {
    id: 'A11-3',
    text: 'a tenant and the operator have secrets of their own',
    mutation: {
      file: 'src/profiles.ts',
      from: 'webhookTargets([...given.config.webhookUrls, ...owners], base)',
      to: "webhookTargets([...given.config.webhookUrls, ...owners], '')",
    },
  },
  {
    id: 'A17',
    text: 'lists show no keys of webhooks',
    mutation: { file: 'src/records/wallet.ts', from: 'value.webhook_urls?.map(shownUrl)', to: 'value.webhook_urls' },
  },
  {
    id: 'A17-2',
    text: 'the configuration shows no secret parts of URLs',
    mutation: { file: 'src/config/read-config.ts', from: 'shown[long] = withoutSecrets(config[name]);', to: 'shown[long] = config[name];' },
  },
];
