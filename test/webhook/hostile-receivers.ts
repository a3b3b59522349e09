/** Receivers that do what no receiver should. */
import type { Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { type Receiver, rawReceiver, scripted } from './receivers.ts';

/** Calls `act` again and again until the connection closes. */
function forever(socket: Socket, everyMs: number, act: () => void): void {
  const timer = setInterval(act, everyMs);
  socket.on('close', () => clearInterval(timer));
}

function flood(socket: Socket, chunk: Buffer): void {
  const more = () => {
    while (socket.writable && socket.write(chunk));
  };
  socket.on('drain', more);
  more();
}

/** 200 MB of nothing. */
const BOMB = gzipSync(Buffer.alloc(200 * 1024 * 1024));
const BOMB_HEAD = `HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: ${BOMB.length}\r\n\r\n`;

export const OK = 'HTTP/1.1 200 OK\r\n';

/** Each with the error code an attempt has to end with; null is delivered. */
export const HOSTILE: readonly (readonly [
  name: string,
  start: () => Promise<Receiver>,
  errorCode: string | null,
])[] = [
  ['silence', () => rawReceiver(() => {}), 'TIMEOUT'],
  ['silence after reading', () => rawReceiver((socket) => socket.resume()), 'TIMEOUT'],
  ['103 only', () => scripted('HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n'), 'TIMEOUT'],
  [
    'header drip',
    () => rawReceiver((socket) => socket.write(OK) && forever(socket, 5, () => socket.write('x-a: b\r\n'))),
    'TIMEOUT',
  ],
  [
    '1xx flood',
    () =>
      rawReceiver((socket) =>
        socket.once('data', () => forever(socket, 1, () => socket.write('HTTP/1.1 102 Processing\r\n\r\n'))),
      ),
    'TIMEOUT',
  ],
  [
    'body drip',
    () =>
      rawReceiver((socket) =>
        socket.once('data', () => {
          socket.write(`${OK}content-length: 1000000\r\n\r\n`);
          forever(socket, 5, () => socket.write('x'));
        }),
      ),
    null,
  ],
  ['promised body that never comes', () => scripted(`${OK}content-length: 10\r\n\r\n`), null],
  [
    'endless body',
    () =>
      rawReceiver((socket) =>
        socket.once('data', () => {
          socket.write(`${OK}\r\n`);
          flood(socket, Buffer.alloc(65_536, 'x'));
        }),
      ),
    null,
  ],
  [
    'endless chunks of one byte',
    () =>
      rawReceiver((socket) =>
        socket.once('data', () => {
          socket.write(`${OK}transfer-encoding: chunked\r\n\r\n`);
          flood(socket, Buffer.from('1\r\nx\r\n'.repeat(10_000)));
        }),
      ),
    null,
  ],
  [
    'body broken off',
    () => rawReceiver((s) => s.once('data', () => s.end(`${OK}content-length: 9\r\n\r\nx`))),
    null,
  ],
  [
    'gzip bomb',
    () =>
      rawReceiver((socket) =>
        socket.once('data', () => socket.write(Buffer.concat([Buffer.from(BOMB_HEAD), BOMB]))),
      ),
    null,
  ],
  ['broken chunks', () => scripted(`${OK}transfer-encoding: chunked\r\n\r\nzz\r\n`), null],
  ['garbage after a whole answer', () => scripted(`${OK}content-length: 2\r\n\r\nok\0\0garbage`), null],
  ['204 with a body', () => scripted('HTTP/1.1 204 No Content\r\ncontent-length: 4\r\n\r\nbody'), null],
  ['garbage', () => scripted('\x16\x03\x01 what is this\r\n\r\n'), 'PROTOCOL'],
  ['SMTP', () => rawReceiver((socket) => socket.write('220 mail.example ESMTP\r\n')), 'PROTOCOL'],
  ['status 099', () => scripted('HTTP/1.1 099 Low\r\ncontent-length: 0\r\n\r\n'), 'PROTOCOL'],
  ['status 2000', () => scripted('HTTP/1.1 2000 High\r\n\r\n'), 'PROTOCOL'],
  ['100 only', () => scripted('HTTP/1.1 100 Continue\r\n\r\n'), 'TIMEOUT'],
  ['half a 100', () => scripted('HTTP/1.1 10'), 'TIMEOUT'],
  ['100 that never ends', () => scripted(`HTTP/1.1 100 Continue\r\nx: ${'x'.repeat(20_000)}`), 'PROTOCOL'],
  ['100 that is none', () => scripted('HTTP/1.1 1000 Much\r\n\r\n'), 'PROTOCOL'],
  [
    'unasked 100, then 200',
    () => scripted(`HTTP/1.1 100 Continue\r\n\r\n${OK}content-length: 0\r\n\r\n`),
    null,
  ],
  ['unasked 100, then garbage', () => scripted('HTTP/1.1 100 Continue\r\n\r\nhello'), 'PROTOCOL'],
  ['101', () => scripted('HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'), 'PROTOCOL'],
  [
    'both lengths',
    () => scripted(`${OK}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`),
    'PROTOCOL',
  ],
  ['20 kB of headers', () => scripted(`${OK}x-long: ${'x'.repeat(20_000)}\r\n\r\n`), 'PROTOCOL'],
  ['20 kB in small headers', () => scripted(`${OK}${'x: y123456\r\n'.repeat(2_500)}\r\n`), 'PROTOCOL'],
  ['NUL in a header', () => scripted(`${OK}x: a\0b\r\n\r\n`), 'PROTOCOL'],
  ['close at once', () => rawReceiver((socket) => socket.end()), 'CONNECTION_RESET'],
  ['close after the request', () => rawReceiver((s) => s.once('data', () => s.end())), 'CONNECTION_RESET'],
  ['reset', () => rawReceiver((s) => s.once('data', () => s.resetAndDestroy())), 'CONNECTION_RESET'],
];
