// Makes clip.vp8 and tone.opus, what the bot sends, with the encoders of a Chromium. Run it by hand when they shall change:
//
//     npm install playwright-core && node generate.mjs [chromium]     (default: /usr/bin/chromium)
//
// It writes both files and SHA256SUMS next to itself. Chromium must be on this machine; nothing is downloaded by this script.
//
// Both files have one form, numbers big-endian: "PULSECLP", duration of a packet in µs (4), number of packets (2), then per packet:
// a byte about it, its length (4), its bytes. The byte is, for video, bit 7 keyframe and bits 0-3 the temporal layer; for audio, the level as
// it stands in the media header (bit 7 voice, bits 0-6 -dBov). A clip begins with a keyframe and is played in a loop.
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { chromium } from 'playwright-core';

const here = (name) => new URL(name, import.meta.url);

// WebCodecs exist in secure contexts only: a page of localhost is one.
const server = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<!doctype html>'));
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const browser = await chromium.launch({ executablePath: process.argv[2] ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
try {
  const page = await browser.newPage();
  page.on('console', (message) => console.log(message.text()));
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  const files = { 'clip.vp8': container(await page.evaluate(video)), 'tone.opus': container(await page.evaluate(audio)) };
  let sums = '';
  for (const [name, bytes] of Object.entries(files)) {
    writeFileSync(here(name), bytes);
    sums += `${createHash('sha256').update(bytes).digest('hex')}  ${name}\n`;
    console.log(`${name}: ${bytes.length} bytes`);
  }
  writeFileSync(here('SHA256SUMS'), sums);
} finally {
  await browser.close();
  server.close();
}

/** @param {{durationUs: number, packets: {about: number, bytes: number[]}[]}} clip */
function container({ durationUs, packets }) {
  const head = Buffer.alloc(14);
  head.write('PULSECLP', 'ascii');
  head.writeUInt32BE(durationUs, 8);
  head.writeUInt16BE(packets.length, 12);
  return Buffer.concat([
    head,
    ...packets.flatMap(({ about, bytes }) => {
      const lead = Buffer.alloc(5);
      lead.writeUInt8(about);
      lead.writeUInt32BE(bytes.length, 1);
      return [lead, Buffer.from(bytes)];
    }),
  ]);
}

/** Runs in the page: a ball on a circle and a frame counter, three rounds of 32 frames, each beginning with a keyframe. */
async function video() {
  const [width, height, fps, round, rounds] = [320, 180, 15, 32, 3];
  const durationUs = Math.round(1e6 / fps);
  const chunks = [];
  const encoder = new VideoEncoder({
    output: (chunk, metadata) => {
      const bytes = new Uint8Array(chunk.byteLength);
      chunk.copyTo(bytes);
      chunks.push({ key: chunk.type === 'key', layer: metadata?.svc?.temporalLayerId ?? 0, bytes });
    },
    error: (error) => console.log(`encoder: ${error}`),
  });
  encoder.configure({
    codec: 'vp8', width, height, framerate: fps, bitrate: 180_000, scalabilityMode: 'L1T3', latencyMode: 'realtime',
    hardwareAcceleration: 'prefer-software',
  });
  const canvas = new OffscreenCanvas(width, height);
  const pen = canvas.getContext('2d');
  for (let index = 0; index < round * rounds; index += 1) {
    // One turn of the ball is one round, so that the loop closes without a jump.
    const turn = (2 * Math.PI * index) / round;
    pen.fillStyle = '#1d2733';
    pen.fillRect(0, 0, width, height);
    pen.fillStyle = '#2f4257';
    for (let x = 0; x < width; x += 40) pen.fillRect(x, 0, 2, height);
    pen.fillStyle = '#f2b33d';
    pen.beginPath();
    pen.arc(width / 2 + 110 * Math.cos(turn), height / 2 + 55 * Math.sin(turn), 22, 0, 2 * Math.PI);
    pen.fill();
    pen.fillStyle = '#e8eef4';
    pen.font = '36px monospace';
    pen.textAlign = 'center';
    pen.textBaseline = 'middle';
    pen.fillText(String(index).padStart(2, '0'), width / 2, height / 2);
    const frame = new VideoFrame(canvas, { timestamp: index * durationUs, duration: durationUs });
    encoder.encode(frame, { keyFrame: index % round === 0 });
    frame.close();
    // A real-time encoder drops frames that come at once.
    while (encoder.encodeQueueSize > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await encoder.flush();
  encoder.close();

  // The layers must be what they claim: without some of the upper frames, the others decode to the same pictures.
  const pictures = async (wanted) => {
    const seen = new Map();
    const decoder = new VideoDecoder({
      output: async (frame) => {
        const bytes = new Uint8Array(frame.allocationSize());
        const done = frame.copyTo(bytes).then(async () => {
          const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
          return hash.join();
        });
        seen.set(frame.timestamp, done);
        await done;
        frame.close();
      },
      error: (error) => console.log(`decoder: ${error}`),
    });
    decoder.configure({ codec: 'vp8' });
    for (const [index, { key, layer, bytes }] of chunks.entries()) {
      if (!wanted(layer, index)) continue;
      decoder.decode(new EncodedVideoChunk({ type: key ? 'key' : 'delta', timestamp: index, data: bytes }));
    }
    await decoder.flush();
    const hashes = new Map();
    for (const [timestamp, done] of seen) hashes.set(timestamp, await done);
    return hashes;
  };
  const whole = await pictures(() => true);
  if (whole.size !== chunks.length) throw new Error(`${whole.size} of ${chunks.length} frames decoded`);
  const subsets = {
    'layer 0': (layer) => layer === 0,
    'layers 0 and 1': (layer) => layer <= 1,
    'all but every other frame of layer 2': (layer, index) => layer <= 1 || index % 4 === 3,
  };
  for (const [name, wanted] of Object.entries(subsets)) {
    const part = await pictures(wanted);
    for (const [timestamp, hash] of part) if (whole.get(timestamp) !== hash) throw new Error(`${name}: frame ${timestamp} needs another one`);
    console.log(`${name}: ${part.size} frames, the same pictures`);
  }
  return { durationUs, packets: chunks.map(({ key, layer, bytes }) => ({ about: (key ? 0x80 : 0) | layer, bytes: [...bytes] })) };
}

/** Runs in the page: two seconds of a quiet 440-Hz tone with a louder beep twice a second. */
async function audio() {
  const [rate, packet, seconds] = [48_000, 960, 2];
  const perLoop = (rate * seconds) / packet;
  const sample = (at) => {
    const t = (at / rate) % 0.5;
    // 0.15 s of beep with soft edges.
    const beep = t < 0.15 ? Math.sin((Math.PI * t) / 0.15) ** 2 : 0;
    return (0.02 + 0.13 * beep) * Math.sin((2 * Math.PI * 440 * at) / rate);
  };
  const chunks = [];
  const encoder = new AudioEncoder({
    output: (chunk) => {
      const bytes = new Uint8Array(chunk.byteLength);
      chunk.copyTo(bytes);
      chunks.push(bytes);
    },
    error: (error) => console.log(`encoder: ${error}`),
  });
  encoder.configure({
    codec: 'opus', sampleRate: rate, numberOfChannels: 1, bitrate: 32_000, opus: { frameDuration: 20_000, application: 'audio' },
  });
  const levels = [];
  // Three loops, of which the second is kept: its encoder comes from the end of a loop, as the player's decoder will.
  for (let index = 0; index < 3 * perLoop; index += 1) {
    const data = new Float32Array(packet);
    let power = 0;
    for (let at = 0; at < packet; at += 1) {
      data[at] = sample(index * packet + at);
      power += data[at] ** 2 / packet;
    }
    levels.push(Math.min(127, Math.max(0, Math.round(-10 * Math.log10(power)))));
    const block = new AudioData({
      format: 'f32', sampleRate: rate, numberOfFrames: packet, numberOfChannels: 1, timestamp: index * 20_000, data,
    });
    encoder.encode(block);
    block.close();
  }
  await encoder.flush();
  encoder.close();
  if (chunks.length < 2 * perLoop) throw new Error(`only ${chunks.length} packets`);
  return {
    durationUs: 20_000,
    packets: chunks.slice(perLoop, 2 * perLoop).map((bytes, index) => ({ about: 0x80 | levels[index], bytes: [...bytes] })),
  };
}
