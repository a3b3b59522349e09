#!/usr/bin/env node
// Plain old JavaScript: it must parse on any Node from 16 on, as its work is to find one that can run the rest.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import * as nodeModule from 'node:module';
import { fileURLToPath } from 'node:url';

const { enableCompileCache } = nodeModule;

const [major, minor] = process.versions.node.split('.').map(Number);
// 22.19 is the first that the dependencies accept; 23 runs TypeScript from 23.6 on.
const canRunHerald = major >= 24 || (major === 23 && minor >= 6) || (major === 22 && minor >= 19);

// Name lookups run on libuv's threads, four by default: two slow names would make every receiver wait for its own.
process.env.UV_THREADPOOL_SIZE ??= '32';

// Kept beside the code, not in a shared temporary directory, where others could put theirs.
const COMPILE_CACHE = fileURLToPath(new URL('../node_modules/.cache/compile', import.meta.url));

if (canRunHerald) {
  delete process.env.HERALD_REEXEC;
  enableCompileCache?.(COMPILE_CACHE);
  // Threads look here.
  process.env.NODE_COMPILE_CACHE ??= COMPILE_CACHE;
  await import('./main.ts');
} else {
  reexecute(fileURLToPath(new URL('../node_modules/.bin/node', import.meta.url)));
}

/** Starts this file again under the Node that `npm ci` brought, and behaves to the outside as if it were that. */
function reexecute(node) {
  if (process.env.HERALD_REEXEC || !existsSync(node)) {
    giveUp('run "npm ci", which brings Node 24 along, or install Node 24');
    return;
  }
  const args = [...process.execArgv, fileURLToPath(import.meta.url), ...process.argv.slice(2)];
  const child = spawn(node, args, {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, HERALD_REEXEC: '1' },
  });
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => giveUp(`${node} could not be started (${error.message})`));
  child.on('exit', (code, signal) => {
    if (!signal) process.exit(code);
    for (const name of signals) process.removeAllListeners(name);
    process.kill(process.pid, signal);
  });
}

function giveUp(advice) {
  process.stderr.write(`Herald needs Node 22.19 or newer and this is ${process.version}: ${advice}.\n`);
  process.exitCode = 1;
}
