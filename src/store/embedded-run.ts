import { spawn } from 'node:child_process';

export interface OsUser {
  readonly uid: number;
  readonly gid: number;
}

export interface RunResult {
  /** undefined when it could not be started or was killed. */
  readonly code: number | undefined;
  readonly stdout: string;
  /** What it said on stderr, or why it could not be started. */
  readonly stderr: string;
}

/**
 * The environment of PostgreSQL's programs: Herald's own has secrets that are none of their business and PG* variables
 * that would change what they do.
 */
export function childEnvironment(): NodeJS.ProcessEnv {
  const { PATH, LD_LIBRARY_PATH } = process.env;
  return { PATH: PATH ?? '/usr/bin:/bin', LC_ALL: 'C', ...(LD_LIBRARY_PATH && { LD_LIBRARY_PATH }) };
}

/** Runs a short program to its end; never throws. */
export function run(command: string, args: readonly string[], user?: OsUser): Promise<RunResult> {
  return new Promise((resolve) => {
    const output = { stdout: '', stderr: '' };
    const child = spawn(command, args, {
      ...user,
      cwd: '/', // ours may be closed to that user
      env: childEnvironment(),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output.stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      output.stderr += text;
    });
    child.once('error', (error) => resolve({ code: undefined, stdout: '', stderr: error.message }));
    child.once('close', (code) => resolve({ code: code ?? undefined, ...output }));
  });
}
