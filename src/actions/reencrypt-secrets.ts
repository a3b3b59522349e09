/** Leaves every secret encrypted with the first key, so that older keys can be dropped. Others may go on meanwhile. */
import { type Database, inTransaction } from '../store/database.ts';
import { CHECK_PLACE } from '../store/installation.ts';
import {
  lockHeaders,
  lockKeyCheck,
  lockSecrets,
  writeHeaders,
  writeKeyCheck,
  writeSecret,
} from '../store/reencryption.ts';
import { keyIdOf, type SecretBox, type SecretPlace } from '../store/secrets.ts';
import { keyPlace } from './signing-keys.ts';
import { headerPlace } from './trigger-headers.ts';

/** How many were written anew. */
export interface Reencrypted {
  readonly signingKeys: number;
  readonly headers: number;
}

/** Rows a transaction holds locked: some milliseconds, for which a change of their triggers waits. */
const CHUNK = 200;

/** Errors: where a secret cannot be read with any of the keys; what was done before stays done. */
export async function reencryptSecrets(db: Database, secrets: SecretBox): Promise<Reencrypted> {
  const reseal = (place: SecretPlace, sealed: string): string | null =>
    keyIdOf(sealed) === secrets.writes ? null : secrets.seal(place, secrets.open(place, sealed));

  const signingKeys = await inChunks((after) =>
    inTransaction(db, async (tx) => {
      const rows = await lockSecrets(tx, after, CHUNK);
      let changed = 0;
      for (const { id, secret } of rows) {
        const sealed = reseal(keyPlace(id), secret);
        if (sealed === null) continue;
        await writeSecret(tx, id, sealed);
        changed++;
      }
      return { last: rows.at(-1)?.id ?? null, changed };
    }),
  );
  const headers = await inChunks((after) =>
    inTransaction(db, async (tx) => {
      const rows = await lockHeaders(tx, after, CHUNK);
      let changed = 0;
      for (const { id, headers } of rows) {
        const anew = headers.map((header) => {
          const sealed = header.secret ? reseal(headerPlace(id, header.name), header.value) : null;
          if (sealed !== null) changed++;
          return sealed === null ? header : { ...header, value: sealed };
        });
        await writeHeaders(tx, id, anew);
      }
      return { last: rows.at(-1)?.id ?? null, changed };
    }),
  );
  // Last, because it tells the next start that the first key is enough.
  await inTransaction(db, async (tx) => {
    const sealed = reseal(CHECK_PLACE, await lockKeyCheck(tx));
    if (sealed !== null) await writeKeyCheck(tx, sealed);
  });
  return { signingKeys, headers };
}

/** Runs `next` from one chunk's last id to the next; answers how many changed. */
async function inChunks(
  next: (after: string | null) => Promise<{ readonly last: string | null; readonly changed: number }>,
): Promise<number> {
  let total = 0;
  for (let after: string | null = null; ; ) {
    const { last, changed } = await next(after);
    if (last === null) return total;
    total += changed;
    after = last;
  }
}
