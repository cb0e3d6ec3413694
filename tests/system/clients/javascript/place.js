// Where a scenario runs: connections that end with it, subscriptions that are read message by message, and checks.
import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { createInterface } from "node:readline";

export class Place {
  #open = [];

  constructor(url, otherUrl) {
    this.url = url;
    this.otherUrl = otherUrl;
  }

  /** A connection that ends with the scenario. It comes back within milliseconds when the server does. */
  async connect(options = {}) {
    const client = await connect({
      servers: this.url,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 50,
      reconnectJitter: 10,
      ...options,
    });
    this.#open.push(client);
    return client;
  }

  /** As many plain connections as asked. */
  connections(count) {
    return Promise.all(Array.from({ length: count }, () => this.connect()));
  }

  async closeAll() {
    await Promise.all(this.#open.map((client) => client.close()));
  }
}

/** A subscription read with take(); the server knows of it when `await Reader.on(...)` is over. */
export class Reader {
  constructor(client, subject, options) {
    this.subject = subject;
    this.subscription = client.subscribe(subject, options);
    this.messages = this.subscription[Symbol.asyncIterator]();
  }

  static async on(client, subject, options) {
    const reader = new Reader(client, subject, options);
    await client.flush();
    return reader;
  }

  async take() {
    const { value, done } = await this.messages.next();
    assert(!done, `${this.subject} ended`);
    return value;
  }

  /** Takes as many messages as there are payloads, and wants just these. */
  async takeAll(payloads, what = this.subject) {
    const seen = [];
    for (let i = 0; i < payloads.length; i++) seen.push((await this.take()).string());
    assert.deepEqual(seen, payloads, what);
  }
}

/** Resolves when the client tells this status ("reconnect", "ldm"); call it before the cause. */
export async function told(client, type) {
  for await (const status of client.status()) {
    if (status.type === type) return status;
  }
  throw new Error(`closed before it told '${type}'`);
}

export const numbers = (count) => Array.from({ length: count }, (_, number) => String(number));

const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Asks whoever runs the server to do something with it, and waits for the answer. */
export async function ask(what) {
  console.log("ready", what);
  await input.next();
}
