// A frame on a VM's command port: a letter, the payload's length (32 bits, little endian), the
// payload. To the VM: R a request {argv, env}, I input, E end of input. From it: O output,
// e error output, X the exit code.

export function frame(type, data) {
  const payload = Buffer.from(data);
  const head = Buffer.alloc(5);
  head.write(type, 0, 'latin1');
  head.writeUInt32LE(payload.length, 1);
  return Buffer.concat([head, payload]);
}

/** Cuts a stream of bytes into frames. */
export class Frames {
  #held = Buffer.alloc(0);

  *feed(chunk) {
    this.#held = Buffer.concat([this.#held, chunk]);
    while (this.#held.length >= 5) {
      const end = 5 + this.#held.readUInt32LE(1);
      if (this.#held.length < end) return;
      const whole = this.#held.subarray(0, end);
      this.#held = this.#held.subarray(end);
      yield { type: whole.toString('latin1', 0, 1), data: whole.subarray(5) };
    }
  }
}
