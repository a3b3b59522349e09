/** `rotate-admin-token`: a new admin token in place of the old one, which stops working where Herald runs. */
import { join, resolve } from 'node:path';
import { readConfig } from '../config.ts';
import { rotateAdminToken } from '../data-dir.ts';
import { StartupError } from '../domain/errors.ts';
import { type Command, NO_WORDS } from './command.ts';

export const rotateAdminTokenCommand: Command = {
  options: {},
  words: NO_WORDS,
  notes: ['An admin token set by ADMIN_TOKEN is changed there.'],
  async run({ env, print }) {
    const { adminToken, dataDir } = readConfig(env);
    if (adminToken !== null) {
      throw new StartupError(
        'The admin token is set by ADMIN_TOKEN: change it there and restart the processes that have it.',
      );
    }
    const token = await rotateAdminToken(dataDir);
    await print(`${token}\n`);
    await print(`\nThe new admin token, kept in ${join(resolve(dataDir), 'admin-token')}. `);
    await print('Within a second or two the old one works no more, and subscriptions opened with it end.\n');
    return 0;
  },
};
