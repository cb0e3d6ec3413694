// What a NATS application does, one function per scenario, with @nats-io/transport-node, the official client for Node.js.
// ../README.md says what each is.
import { headers as newHeaders, RequestError } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { ask, numbers, Reader, told } from "./place.js";

const MIB = 1024 * 1024;
const TIMEOUT = { timeout: 20_000 };

export async function publish_subscribe(place) {
  const [publisher, one, two] = await place.connections(3);
  const readers = [await Reader.on(one, "greet.joe"), await Reader.on(two, "greet.joe")];
  publisher.publish("greet.sue", "not for joe");
  const greetings = ["", ...numbers(9)];
  for (const greeting of greetings) publisher.publish("greet.joe", greeting);
  for (const reader of readers) await reader.takeAll(greetings);
}

export async function wildcards(place) {
  const [publisher, client] = await place.connections(2);
  const expected = { "orders.*": ["2", "last"], "orders.>": ["2", "3", "last"], "*.new": ["2", "4", "last"] };
  const readers = Object.keys(expected).map((subject) => new Reader(client, subject));
  await client.flush();
  publisher.publish("orders", "1");
  publisher.publish("orders.new", "2");
  publisher.publish("orders.new.eu", "3");
  publisher.publish("invoices.new", "4");
  publisher.publish("orders.new", "last");
  for (const reader of readers) await reader.takeAll(expected[reader.subject]);
}

export async function queue_groups(place) {
  const [publisher, observer, ...members] = await place.connections(6);
  const everything = await Reader.on(observer, "work.*");
  const jobs = numbers(2000);
  const shares = members.map(() => []);
  await new Promise((resolve, reject) => {
    let left = jobs.length;
    const joined = members.map((member, i) => {
      member.subscribe("work.*", {
        queue: "workers",
        callback: (error, message) => {
          if (error) return reject(error);
          shares[i].push(message.string());
          if (--left === 0) resolve();
        },
      });
      return member.flush();
    });
    Promise.all(joined).then(() => jobs.forEach((job) => publisher.publish("work.todo", job)), reject);
  });
  await everything.takeAll(jobs);
  const byNumber = (a, b) => a - b;
  assert.deepEqual(shares.flat().sort(byNumber), jobs, "all members together");
  assert(shares.every((share) => share.length > 0), `members without any message: ${shares.map((share) => share.length)}`);
}

export async function request_reply(place) {
  const [service, client] = await place.connections(2);
  service.subscribe("service.echo", { callback: (_, message) => message.respond(`re: ${message.string()}`) });
  await service.flush();
  const answers = await Promise.all(numbers(500).map((question) => client.request("service.echo", question, TIMEOUT)));
  assert.deepEqual(answers.map((answer) => answer.string()), numbers(500).map((question) => `re: ${question}`));
}

/** This client keeps the order of names, and of the values of each. */
export async function headers(place) {
  const [service, client] = await place.connections(2);
  service.subscribe("paint", {
    callback: (_, message) => {
      if (!message.headers) return;
      const answer = newHeaders();
      for (const color of message.headers.values("Color").reverse()) answer.append("Color", color);
      message.respond(message.data, { headers: answer });
    },
  });
  await service.flush();
  const plain = await Reader.on(client, "paint");
  const sent = newHeaders();
  sent.append("Shape", "round");
  sent.append("Color", "red");
  sent.append("Color", "green");
  sent.append("a-lower-case-name", "");
  const reply = await client.request("paint", "wall", { ...TIMEOUT, headers: sent });
  assert.equal(reply.string(), "wall");
  assert.deepEqual([...reply.headers], [["Color", ["green", "red"]]], "headers of the answer");
  const expected = [["Shape", ["round"]], ["Color", ["red", "green"]], ["a-lower-case-name", [""]]];
  assert.deepEqual([...(await plain.take()).headers], expected, "headers");
  client.publish("paint", "no headers");
  assert.equal((await plain.take()).headers, undefined, "headers of a message without");
}

export async function no_responders(place) {
  const [client, service] = await place.connections(2);
  const nobodyIsThere = () =>
    assert.rejects(client.request("nobody.home", "?", TIMEOUT), (error) => {
      return error instanceof RequestError && error.isNoResponders();
    });
  await nobodyIsThere();
  const subscription = service.subscribe("nobody.home", { callback: (_, message) => message.respond("here") });
  await service.flush();
  assert.equal((await client.request("nobody.home", "?", TIMEOUT)).string(), "here");
  subscription.unsubscribe();
  await service.flush();
  await nobodyIsThere();
}

export async function max_payload(place) {
  const client = await place.connect();
  const reader = await Reader.on(client, "too.large");
  assert.equal(client.info.max_payload, MIB, "max_payload of INFO");
  assert.throws(() => client.publish("too.large", new Uint8Array(MIB + 1)), /max_payload size exceeded/);
  client.publish("too.large", "small");
  await reader.takeAll(["small"]);
}

export async function drain(place) {
  const [publisher, client, other] = await place.connections(3);
  const all = numbers(1000);
  const publishAll = async () => {
    for (const number of all) publisher.publish("drain.in", number);
    await publisher.flush();
  };
  const handle = async (subscription, handled) => {
    for await (const message of subscription) handled.push(message.string());
  };

  // A subscription: what the server had taken before is handled, what comes later is not for it.
  let handled = [];
  const subscription = client.subscribe("drain.in");
  await client.flush();
  await publishAll();
  const loop = handle(subscription, handled);
  await subscription.drain();
  await loop;
  publisher.publish("drain.in", "late");
  await publisher.flush();
  await client.flush();
  assert.deepEqual(handled, all, "the drained subscription");

  // A connection: what came in is handled, what was published goes out, and then it is closed.
  handled = [];
  const secondLoop = handle(client.subscribe("drain.in"), handled);
  const results = await Reader.on(other, "drain.out");
  await client.flush();
  await publishAll();
  for (const number of all) client.publish("drain.out", number);
  await client.drain();
  await secondLoop;
  assert.deepEqual(handled, all, "the drained connection's subscription");
  await results.takeAll(all, "what the drained connection had published");
  assert(client.isClosed(), "closed after the drain");
}

export async function reconnect_after_restart(place) {
  const [subscriber, publisher] = await place.connections(2);
  const readers = [
    new Reader(subscriber, "after.restart"),
    new Reader(subscriber, "after.*"),
    new Reader(subscriber, "after.>", { queue: "group" }),
  ];
  await subscriber.flush();
  publisher.publish("after.restart", "before");
  for (const reader of readers) await reader.takeAll(["before"]);
  const back = [told(subscriber, "reconnect"), told(publisher, "reconnect")];
  await ask("restart");
  await Promise.all(back);
  await subscriber.flush();
  for (const number of numbers(100)) publisher.publish("after.restart", number);
  for (const reader of readers) await reader.takeAll(numbers(100), `${reader.subject} after the restart`);
}

export async function ordered_100000(place) {
  const [publisher, client] = await place.connections(2);
  const count = 100_000;
  const complete = new Promise((resolve, reject) => {
    let expected = 0;
    client.subscribe("count.up", {
      callback: (error, message) => {
        const seen = error ?? message.string();
        if (seen !== String(expected)) reject(new Error(`expected message ${expected}, saw ${seen}`));
        if (++expected === count) resolve();
      },
    });
  });
  await client.flush();
  for (let number = 0; number < count; number++) publisher.publish("count.up", String(number));
  await complete;
}

export async function auto_unsubscribe(place) {
  const [publisher, client] = await place.connections(2);
  const firstThree = new Reader(client, "few.wanted", { max: 3 });
  const later = new Reader(client, "few.wanted");
  const end = new Reader(client, "few.end");
  await client.flush();
  const all = numbers(10);
  for (const number of all.slice(0, 2)) publisher.publish("few.wanted", number);
  await later.takeAll(all.slice(0, 2));
  later.subscription.unsubscribe(5); // counted from the start of the subscription
  await client.flush();
  for (const number of all.slice(2)) publisher.publish("few.wanted", number);
  publisher.publish("few.end", "end");
  await end.takeAll(["end"]);
  await firstThree.takeAll(all.slice(0, 3), "limit of 3");
  await later.takeAll(all.slice(2, 5), "limit of 5, two of them before");
  for (const reader of [firstThree, later]) assert((await reader.messages.next()).done, "there is nothing beyond the limit");
}

export async function echo_off(place) {
  const [quiet, other] = [await place.connect({ noEcho: true }), await place.connect()];
  const [mine, theirs] = [await Reader.on(quiet, "echo.off"), await Reader.on(other, "echo.off")];
  quiet.publish("echo.off", "from the quiet one");
  await quiet.flush();
  other.publish("echo.off", "from the other");
  await theirs.takeAll(["from the quiet one", "from the other"], "with echo");
  await mine.takeAll(["from the other"], "without echo");
}

export async function large_messages(place) {
  const [publisher, client] = await place.connections(2);
  const reader = await Reader.on(client, "large");
  const payloads = Array.from({ length: 4 }, () => randomBytes(MIB));
  for (const payload of payloads) publisher.publish("large", payload);
  for (const [number, payload] of payloads.entries()) {
    assert(payload.equals((await reader.take()).data), `large message ${number} is as it was sent`);
  }
}

export async function many_subjects(place) {
  const [publisher, client, other] = await place.connections(3);
  const every = await Reader.on(other, "many.*");
  const names = numbers(2000).map((number) => `many.${number}`);
  const readers = names.map((name) => new Reader(client, name));
  await client.flush();
  for (const name of names) publisher.publish(name, name);
  for (const reader of readers) await reader.takeAll([reader.subject]);
  await every.takeAll(names);
}

/** The server is about to leave: it says so, lets go of its clients a little later, and they go on at the other one. */
export async function lame_duck(place) {
  const options = { servers: [place.url, place.otherUrl], noRandomize: true };
  const clients = [await place.connect(options), await place.connect(options)];
  const [subscriber, publisher] = clients;
  const reader = await Reader.on(subscriber, "still.here");
  const events = clients.flatMap((client) => [told(client, "ldm"), told(client, "reconnect")]);
  await ask("lame_duck");
  await Promise.all(events);
  for (const client of clients) {
    assert.equal(`nats://${client.getServer()}`, place.otherUrl, "where the client went");
    await client.flush();
  }
  publisher.publish("still.here", "yes");
  await reader.takeAll(["yes"], "at the other server");
}
