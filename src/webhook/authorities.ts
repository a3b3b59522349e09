import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { StartupError } from '../domain/errors.ts';

/**
 * The certificates of a PEM file, to be trusted beside the public authorities.
 * Errors: StartupError where the file cannot be read, or holds no certificate or a broken one.
 */
export async function readAuthorities(path: string): Promise<readonly string[]> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw refusal(path, error instanceof Error ? error.message : String(error), error);
  });
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0)
    throw refusal(path, 'expected PEM blocks "-----BEGIN CERTIFICATE-----", found none');
  for (const [index, block] of blocks.entries()) {
    try {
      new X509Certificate(block);
    } catch (error) {
      throw refusal(path, `certificate ${index + 1} of ${blocks.length} cannot be read`, error);
    }
  }
  return blocks;
}

function refusal(path: string, reason: string, cause?: unknown): StartupError {
  return new StartupError(`Cannot use EGRESS_CA_FILE=${path}: ${reason}.`, { cause });
}
