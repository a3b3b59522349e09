/** `reencrypt`: leaves every secret in the database encrypted with the first key. */
import { readConfig } from '../config.ts';
import { createLog } from '../log.ts';
import { reencryptDatabase } from '../reencrypt.ts';
import { type Command, NO_WORDS } from './command.ts';

export const reencryptCommand: Command = {
  options: {},
  words: NO_WORDS,
  notes: ['Afterwards older keys can be taken out of ENCRYPTION_KEY.'],
  async run({ env, print }) {
    const config = readConfig(env);
    const { signingKeys, headers } = await reencryptDatabase(config, createLog(config.logLevel));
    await print(
      `Encrypted anew with the first key: ${signingKeys} signing keys, ${headers} secret headers. `,
    );
    await print('Older keys can be dropped.\n');
    return 0;
  },
};
