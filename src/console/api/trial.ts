/** Trying a trigger out. */
import { document, type UserError } from './document.ts';
import { ATTEMPT, type Attempt, REQUEST } from './invocation.ts';

interface TrialInput {
  readonly input: { readonly triggerId: string; readonly dataText: string };
}

export const TEST_TRIGGER = document<
  { testTrigger: { readonly attempt: Attempt | null; readonly userErrors: readonly UserError[] } },
  TrialInput
>(`mutation TestTrigger($input: TestTriggerInput!) {
  testTrigger(input: $input) { attempt { ${ATTEMPT} } userErrors { field code message } }
}`);

export const PREVIEW_DELIVERY = document<
  {
    previewDelivery: {
      readonly request: Attempt['request'] | null;
      readonly userErrors: readonly UserError[];
    };
  },
  TrialInput
>(`mutation PreviewDelivery($input: PreviewDeliveryInput!) {
  previewDelivery(input: $input) { request { ${REQUEST} } userErrors { field code message } }
}`);
