import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ConfigError } from './config/values.ts';
import { type Plugin, pluginOf } from './kernel/plugin.ts';

/** Plug-ins of ACA-Py whose features this agent has in itself: their names are accepted, so that a configuration can stay as it is. */
const BUILT_IN = /^(acapy_plugins\.)?(connections|issue_credential|present_proof|rpc)(\.v1_0)?$/;

/** The plug-in of a name: none for what is built in. @throws ConfigError */
export async function loadPlugin(name: string): Promise<Plugin[]> {
  if (BUILT_IN.test(name)) return [];
  let url: string;
  try {
    // a path as the shell understands it; everything else is a package of the folder that the agent was started in
    url = /^\.{0,2}\/|\.[cm]?[jt]s$/.test(name) ? resolve(name) : createRequire(resolve('package.json')).resolve(name);
  } catch {
    throw new ConfigError(
      `--plugin ${name}: there is no such package (Python plug-ins cannot be loaded); a file is named by its path, as in ./${name}.ts`,
    );
  }
  try {
    return [await pluginOf((await import(pathToFileURL(url).href)) as Record<string, unknown>)];
  } catch (error) {
    throw new ConfigError(`--plugin ${name}: ${(error as Error).message}`);
  }
}
