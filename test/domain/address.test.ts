import { describe, expect, test } from 'vitest';
import { type EgressPolicy, isAddressForbidden, isCidr } from '../../src/domain/address.ts';

const PUBLIC: EgressPolicy = { mode: 'public', allowCidrs: [] };
const PRIVATE: EgressPolicy = { mode: 'private', allowCidrs: [] };

const EVERYWHERE_ALLOWED = [
  '1.1.1.1',
  '8.8.8.8',
  '9.255.255.255',
  '11.0.0.0',
  '100.63.255.255',
  '100.128.0.0',
  '126.255.255.255',
  '128.0.0.0',
  '169.253.255.255',
  '172.15.255.255',
  '172.32.0.0',
  '192.0.1.0',
  '192.167.255.255',
  '198.17.255.255',
  '198.20.0.0',
  '223.255.255.255',
  '2606:4700:4700::1111',
  '2a00:1450:4001:82a::200e',
  '2001:200::1',
  '2001:1::1',
  '2001:3::1',
  '2001:4:112::1',
  '2001:20::1',
  '::ffff:8.8.8.8',
  '::ffff:808:808',
  '64:ff9b::8.8.8.8',
];

const OPENED_BY_PRIVATE = [
  '10.0.0.0',
  '10.255.255.255',
  '127.0.0.1',
  '127.255.255.255',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '::1',
  '0:0:0:0:0:0:0:1',
  'fc00::1',
  'fdff::1',
  '::ffff:127.0.0.1',
  '::ffff:7f00:1',
  '0:0:0:0:0:ffff:10.0.0.1',
  '64:ff9b::10.0.0.1',
  '64:ff9b::7f00:1',
];

const EVERYWHERE_FORBIDDEN = [
  '0.0.0.0',
  '100.64.0.1',
  '100.100.100.200',
  '168.63.129.16',
  '169.254.0.1',
  '169.254.169.254',
  '192.0.0.192',
  '192.0.2.1',
  '192.88.99.1',
  '198.18.0.1',
  '198.19.255.255',
  '198.51.100.1',
  '203.0.113.1',
  '224.0.0.1',
  '239.255.255.255',
  '240.0.0.1',
  '255.255.255.255',
  '::',
  '::2',
  '::7f00:1',
  '::127.0.0.1',
  '::ffff:0:127.0.0.1',
  '::ffff:169.254.169.254',
  '64:ff9b::169.254.169.254',
  '64:ff9b:1::8.8.8.8',
  '100::1',
  '2001::1',
  '2001:1::3',
  '2001:10::1',
  '2001:db8::1',
  '2002:7f00:1::',
  '3fff::1',
  '5f00::1',
  'fd00:ec2::254',
  'fd20:ce::254',
  'fd00:42::42',
  'fe80::1',
  'fe80::1%eth0',
  'fec0::1',
  'ff02::1',
  '',
  'localhost',
  '127.1',
  '0x7f.0.0.1',
  '127.0.0.1/8',
];

describe('isAddressForbidden', () => {
  test.each(EVERYWHERE_ALLOWED)('%s is allowed everywhere', (address) => {
    expect([isAddressForbidden(address, PUBLIC), isAddressForbidden(address, PRIVATE)]).toEqual([
      false,
      false,
    ]);
  });

  test.each(OPENED_BY_PRIVATE)('%s is allowed in private mode only', (address) => {
    expect([isAddressForbidden(address, PUBLIC), isAddressForbidden(address, PRIVATE)]).toEqual([
      true,
      false,
    ]);
  });

  test.each(EVERYWHERE_FORBIDDEN)('%j is forbidden everywhere', (address) => {
    expect([isAddressForbidden(address, PUBLIC), isAddressForbidden(address, PRIVATE)]).toEqual([true, true]);
  });

  test('allowCidrs wins over everything, and only inside its ranges', () => {
    const policy: EgressPolicy = {
      mode: 'public',
      allowCidrs: ['10.1.0.0/16', '169.254.169.254', 'fe80::/64'],
    };
    const allowed = ['10.1.2.3', '::ffff:10.1.2.3', '64:ff9b::10.1.2.3', '169.254.169.254', 'fe80::1%eth0'];
    const forbidden = ['10.2.0.1', '::ffff:10.2.0.1', '169.254.169.253', '127.0.0.1', 'fe80:1::1'];
    for (const address of allowed) expect(isAddressForbidden(address, policy), address).toBe(false);
    for (const address of forbidden) expect(isAddressForbidden(address, policy), address).toBe(true);
  });

  test('an IPv6 range allows no IPv4 address', () => {
    expect(isAddressForbidden('127.0.0.1', { mode: 'public', allowCidrs: ['::/0'] })).toBe(true);
  });

  test('a policy with a broken range is refused, not ignored', () => {
    expect(() => isAddressForbidden('8.8.8.8', { mode: 'public', allowCidrs: ['10.0.0/8'] })).toThrow(
      'expected an IP address or a CIDR range, got 10.0.0/8',
    );
  });
});

test.each([
  ['10.0.0.0/8', true],
  [' 10.0.0.0/8 ', true],
  ['10.0.0.1', true],
  ['::1', true],
  ['fd00::/8', true],
  ['0.0.0.0/0', true],
  ['10.0.0.0/33', false],
  ['::/129', false],
  ['10.0.0.0/', false],
  ['10.0.0.0/8/8', false],
  ['10.0.0.0/-1', false],
  ['fe80::1%eth0/64', false],
  ['example.com', false],
  ['', false],
])('isCidr(%j) is %s', (text, expected) => {
  expect(isCidr(text)).toBe(expected);
});
