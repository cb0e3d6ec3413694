#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include <signal.h>

#include "gateway/io/mailbox.h"
#include "gateway/io/signal_watcher.h"
#include "gateway/io/timer.h"
#include "tests/unit/gateway_io/io_fixture.h"

namespace gateway::io {

TEST_CASE("a timer fires once, never before its time", "[gateway_io]") {
    EventLoop loop;
    int calls = 0;
    base::Instant due;
    base::Instant fired;
    Timer timer(loop, [&] {
        ++calls;
        fired = loop.now();
    });
    for (int i = 0; i < 5; ++i) {
        due = loop.now() + std::chrono::microseconds(300 * i + 7);
        timer.set_at(due);
        CHECK(timer.is_set());
        loop.run();  // returns when nothing is left to wait for
        CHECK(fired >= due);
    }
    CHECK(calls == 5);
    CHECK_FALSE(timer.is_set());
}

TEST_CASE("a timer that was cleared or set to never does not keep the loop", "[gateway_io]") {
    EventLoop loop;
    int calls = 0;
    Timer timer(loop, [&] { ++calls; });
    timer.set_after(std::chrono::hours(1));
    timer.clear();
    timer.set_after(base::Duration::zero());
    timer.set_at(base::instant_max);
    loop.run();
    CHECK(calls == 0);
}

TEST_CASE("a timer may set itself again, and be destroyed in its callback", "[gateway_io]") {
    EventLoop loop;
    int calls = 0;
    Timer timer;
    timer = Timer(loop, [&] {
        if (++calls < 3) {
            timer.set_after(base::Duration::zero());
        } else {
            timer = Timer();
        }
    });
    timer.set_after(base::Duration::zero());
    loop.run();
    CHECK(calls == 3);
}

TEST_CASE("the turn end runs after timers and before the loop sleeps", "[gateway_io]") {
    EventLoop loop;
    std::string order;
    bool pending = false;
    Mailbox mailbox(loop, [&] {
        order += 'm';
        pending = true;
    });
    Timer timer(loop, [&] {
        order += 't';
        pending = true;
    });
    loop.set_turn_end([&] {
        if (!pending) return;
        pending = false;
        order += 'e';
        // Were it not for the turn end before the sleep, nothing would ever wake this loop again.
        if (order == "te") mailbox.wake();
        if (order == "teme") loop.stop();
    });
    timer.set_after(base::Duration::zero());
    loop.run();
    CHECK(order == "teme");
}

TEST_CASE("time stands still within a half turn", "[gateway_io]") {
    EventLoop loop;
    bool same = false;
    Timer timer(loop, [&] {
        const base::Instant first = loop.now();
        for (int i = 0; i < 1000; ++i) same = loop.now() == first;
    });
    timer.set_after(base::Duration::zero());
    loop.run();
    CHECK(same);
}

TEST_CASE("mail from other threads is all seen, however wakes coalesce", "[gateway_io]") {
    constexpr int threads = 3;
    constexpr int letters = 2000;
    EventLoop loop;
    std::mutex mutex;
    std::vector<int> box;
    int received = 0;
    Mailbox mailbox(loop, [&] {
        const std::lock_guard lock(mutex);
        received += static_cast<int>(box.size());
        box.clear();
        if (received == threads * letters) loop.stop();
    });
    std::vector<std::thread> writers;
    for (int t = 0; t < threads; ++t) {
        writers.emplace_back([&] {
            for (int i = 0; i < letters; ++i) {
                {
                    const std::lock_guard lock(mutex);
                    box.push_back(i);
                }
                mailbox.wake();
            }
        });
    }
    loop.run();
    for (std::thread& writer : writers) writer.join();
    CHECK(received == threads * letters);
}

TEST_CASE("a loop spins while work comes fast, and sleeps when it does not", "[gateway_io]") {
    EventLoop loop;
    loop.set_spin(std::chrono::milliseconds(20));
    Mailbox mailbox;
    int fast = 200;
    int slow = 3;
    std::uint64_t spins_when_fast = 0;
    Timer timer(loop, [&] { mailbox.wake(); });
    mailbox = Mailbox(loop, [&] {
        if (fast-- > 0) {
            mailbox.wake();  // the next piece of work is there at once
        } else if (slow-- > 0) {
            if (spins_when_fast == 0) spins_when_fast = loop.spins();
            timer.set_after(std::chrono::milliseconds(80));
        } else {
            loop.stop();
        }
    });
    mailbox.wake();
    loop.run();
    CHECK(spins_when_fast > 0);
    const auto spins = loop.spins();
    // Three gaps of 80 ms were not short, so that the loop slept through the later two.
    slow = 2;
    mailbox.wake();
    loop.run();
    CHECK(loop.spins() == spins);
}

TEST_CASE("two loops on two threads talk over TCP, a socket moved between them", "[gateway_io]") {
    Loopback net;
    const std::string question = "ping";
    const std::string answer = "pong";
    std::atomic<bool> other_done = false;
    std::optional<Socket> moved;
    End client;
    std::optional<Socket> dialled;
    TcpDial dial(net.loop, net.address(), [&](base::Result<Socket, IoError> result) {
        if (result.ok()) dialled = std::move(result).value();
    });
    net.run_until([&] { return dialled && net.accepted; });
    moved = std::move(net.accepted);
    std::thread other([&] {
        EventLoop loop;
        End server;
        server.connection = TcpConnection(loop, std::move(*moved), server);
        server.when_bytes = [&] {
            if (server.received == question) server.send(answer);
        };
        server.when_closed = [&] { loop.stop(); };
        loop.run();
        other_done = server.received == question;
    });
    client.connection = TcpConnection(net.loop, std::move(*dialled), client);
    client.when_bytes = [&] {
        if (client.received == answer) client.connection.close(false);
    };
    client.send(question);
    net.run_until([&] { return client.closed.has_value(); });
    other.join();
    CHECK(client.received == answer);
    CHECK(other_done);
}

TEST_CASE("signals come as callbacks with their number", "[gateway_io]") {
    EventLoop loop;
    std::vector<int> seen;
    const SignalWatcher watcher(loop, {SIGHUP, SIGUSR1}, [&](int number) {
        seen.push_back(number);
        if (seen.size() == 2) loop.stop();
    });
    // A watcher does not keep the loop, so something else must.
    Timer keep(loop, [] {});
    keep.set_after(std::chrono::hours(1));
    REQUIRE(raise(SIGHUP) == 0);
    REQUIRE(raise(SIGUSR1) == 0);
    loop.run();
    CHECK(seen == std::vector<int>{SIGHUP, SIGUSR1});
}

}  // namespace gateway::io
