/** `npm run schema`: writes schema.graphql, which the tests hold against the schema. */
import { writeFileSync } from 'node:fs';
import { printedSchema } from './schema.ts';

writeFileSync(new URL('../../schema.graphql', import.meta.url), printedSchema());
