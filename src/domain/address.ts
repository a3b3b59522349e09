import { BlockList, isIP } from 'node:net';

/** Which addresses webhooks may go to. */
export type EgressPolicy = {
  /** `public`: public addresses only. `private`: loopback and private networks too. */
  readonly mode: 'public' | 'private';
  /** Addresses and ranges (`10.1.0.0/16`, `::1`) that are allowed whatever the mode says. */
  readonly allowCidrs: readonly string[];
};

/**
 * Whether a webhook must not be sent to this IP address. Text that is no IP address is forbidden: what cannot be read
 * cannot be judged. IPv4-mapped and NAT64 addresses take the verdict of the IPv4 address inside.
 * Throws a RangeError where the policy itself holds text that is not a CIDR (see `isCidr`).
 */
export function isAddressForbidden(address: string, policy: EgressPolicy): boolean {
  const outer = address.split('%', 1)[0] ?? ''; // `fe80::1%eth0`: a zone is no part of the address
  if (isIP(outer) === 0) return true;
  const allowed = allowedBy(policy);
  if (allowed.has(outer)) return false;
  const inner = embeddedIPv4(outer) ?? outer;
  if (inner !== outer && allowed.has(inner)) return false;
  if (EXEMPT.has(inner)) return false;
  if (PRIVATE.has(inner)) return policy.mode === 'public' || METADATA.has(inner);
  return RESERVED.has(inner);
}

/** Whether the text is an IP address, or an IP address, a slash and a prefix length. */
export function isCidr(text: string): boolean {
  return parseCidr(text) !== null;
}

/** Whether a HOST setting or Host header names this machine alone. */
export function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(host);
}

/** The policy in words, for the start banner and the API. */
export function describeEgress({ mode, allowCidrs }: EgressPolicy): string {
  const base = mode === 'public' ? 'public addresses only' : 'public, private and loopback addresses';
  return allowCidrs.length === 0 ? base : `${base}, and ${allowCidrs.join(', ')}`;
}

type Family = 'ipv4' | 'ipv6';

/** Ranges of both families. One BlockList would not do: there `::/8` also matches every IPv4 address, as mapped. */
class Ranges {
  readonly #lists: Record<Family, BlockList> = { ipv4: new BlockList(), ipv6: new BlockList() };

  constructor(cidrs: readonly string[]) {
    for (const text of cidrs) {
      const cidr = parseCidr(text);
      if (cidr === null) throw new RangeError(`expected an IP address or a CIDR range, got ${text}`);
      this.#lists[cidr.family].addSubnet(cidr.address, cidr.prefix, cidr.family);
    }
  }

  has(address: string): boolean {
    const family = isIP(address) === 4 ? 'ipv4' : 'ipv6';
    return this.#lists[family].check(address, family);
  }
}

/** Loopback, RFC 1918 and unique local addresses: what `private` opens. */
const PRIVATE = new Ranges([
  '10.0.0.0/8',
  '127.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '::1',
  'fc00::/7',
]);

/** Cloud metadata services inside the private ranges: AWS, Google, Scaleway, Oracle. They hand out credentials. */
const METADATA = new Ranges(['fd00:ec2::/32', 'fd20:ce::254', 'fd00:42::42', 'fd00:c1::a9fe:a9fe']);

/** Globally reachable although a reserved range holds them (IANA special-purpose registry). */
const EXEMPT = new Ranges(['2001:1::1', '2001:1::2', '2001:3::/32', '2001:4:112::/48', '2001:20::/28']);

/** Never a receiver: the IANA special-purpose registries, link-local (with its metadata service), multicast. */
const RESERVED = new Ranges([
  '0.0.0.0/8',
  '100.64.0.0/10',
  '168.63.129.16', // Azure's wire server: a public number, answered by the host a virtual machine runs on
  '169.254.0.0/16',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '::/8',
  '100::/64',
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  '3fff::/20',
  '5f00::/16',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
]);

/** A policy lives as long as the process, its ranges are read once. */
const ranges = new WeakMap<EgressPolicy, Ranges>();

function allowedBy(policy: EgressPolicy): Ranges {
  let allowed = ranges.get(policy);
  if (allowed === undefined) {
    allowed = new Ranges(policy.allowCidrs);
    ranges.set(policy, allowed);
  }
  return allowed;
}

function parseCidr(text: string): { address: string; prefix: number; family: Family } | null {
  const [address = '', prefixText, ...rest] = text.trim().split('/');
  const version = address.includes('%') ? 0 : isIP(address);
  if (version === 0 || rest.length > 0) return null;
  const bits = version === 4 ? 32 : 128;
  if (prefixText !== undefined && !/^\d{1,3}$/.test(prefixText)) return null;
  const prefix = prefixText === undefined ? bits : Number(prefixText);
  return prefix > bits ? null : { address, prefix, family: version === 4 ? 'ipv4' : 'ipv6' };
}

/** The IPv4 address inside `::ffff:0:0/96` (mapped) or `64:ff9b::/96` (NAT64, RFC 6052); null for all others. */
function embeddedIPv4(address: string): string | null {
  if (isIP(address) !== 6) return null;
  const groups = groupsOf(address);
  const mapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  const nat64 =
    groups[0] === 0x64 && groups[1] === 0xff9b && groups.slice(2, 6).every((group) => group === 0);
  if (!mapped && !nat64) return null;
  const [high = 0, low = 0] = groups.slice(6);
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}

/** The eight 16-bit groups of a valid IPv6 address. */
function groupsOf(address: string): number[] {
  const [head = '', tail] = address.split('::');
  const left = groupsIn(head);
  if (tail === undefined) return left;
  const right = groupsIn(tail);
  return [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right];
}

function groupsIn(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((part) => {
    if (!part.includes('.')) return [Number.parseInt(part, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = part.split('.').map(Number);
    return [(a << 8) | b, (c << 8) | d];
  });
}
