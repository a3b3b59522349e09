/** The smallest UUID of version 7 (RFC 9562 section 5.7) of the moment `epochMs`; all that were made later are greater. */
export function firstUuidOf(epochMs: number): string {
  const hex = Math.max(0, Math.floor(epochMs)).toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}
