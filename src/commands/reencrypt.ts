/** `reencrypt`: leaves every secret in the database encrypted with the first key. */
import { readConfig } from '../config.ts';
import { createLog } from '../log.ts';
import { reencryptDatabase } from '../reencrypt.ts';
import type { Command } from './command.ts';

export const reencryptCommand: Command = {
  summary: 'encrypt all secrets anew with the first key of ENCRYPTION_KEY',
  options: {},
  takesWords: false,
  async run({ env, print }) {
    const config = readConfig(env);
    const { signingKeys, headers } = await reencryptDatabase(config, createLog(config.logLevel));
    print(`Encrypted anew with the first key: ${signingKeys} signing keys, ${headers} secret headers. `);
    print('Older keys can be dropped.\n');
  },
};
