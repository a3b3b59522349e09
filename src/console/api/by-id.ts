/** Whatever has an id. */
import { document } from './document.ts';

export const BY_ID = document<
  {
    event: { readonly id: string } | null;
    invocation: { readonly event: { readonly id: string } } | null;
    trigger: { readonly id: string } | null;
  },
  { id: string }
>(`query ById($id: ID!) {
  event(id: $id) { id } invocation(id: $id) { event { id } } trigger(id: $id) { id }
}`);
