/** Tells when there has been nothing to do for a while. */
export class Idle {
  readonly #after: number;
  readonly #isBusy: () => boolean;
  #working = 0;
  #timer: NodeJS.Timeout | undefined;
  #settle: () => void = () => {};
  /** Settles when there has been nothing to do for long enough. */
  readonly over: Promise<void>;

  /**
   * @param after milliseconds
   * @param isBusy whether something goes on that nobody waits for
   */
  constructor(after: number, isBusy: () => boolean) {
    this.#after = after;
    this.#isBusy = isBusy;
    this.over = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.#wait();
  }

  get working(): boolean {
    return this.#working > 0 || this.#isBusy();
  }

  /** Does something; there is work as long as it takes. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#working++;
    clearTimeout(this.#timer);
    try {
      return await work();
    } finally {
      this.#working--;
      if (this.#working === 0) this.#wait();
    }
  }

  #wait(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.working) this.#wait();
      else this.#settle();
    }, this.#after);
  }
}
