// A queue between exactly two threads: one sends, one receives, and neither ever waits.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

namespace gateway {

/// Unbounded; its owner watches `outstanding`.
/// Cost: nothing is allocated while no more than nodes_kept_max values wait; what the two threads write lies on cache
/// lines of their own.
template <typename T>
class MailQueue {
  public:
    /// So many nodes wait to be used again; what a burst made beyond them is given back as further values are sent.
    static constexpr std::size_t nodes_kept_max = 64;

    MailQueue() : spare_(new Node), head_seen_(spare_), tail_(spare_), head_(spare_) {}
    MailQueue(const MailQueue&) = delete;
    MailQueue& operator=(const MailQueue&) = delete;
    ~MailQueue() {
        while (spare_ != nullptr) delete std::exchange(spare_, spare_->next.load(std::memory_order_relaxed));
    }

    /// Threads: the sender.
    void send(T&& value, std::size_t bytes) {
        Node* node = free_node();
        node->value = std::move(value);
        node->bytes = bytes;
        sent_bytes_.store(sent_bytes_.load(std::memory_order_relaxed) + bytes, std::memory_order_relaxed);
        tail_->next.store(node, std::memory_order_release);
        tail_ = node;
        sent_.store(sent_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    }

    /// How many values have been sent so far.  Threads: any.
    [[nodiscard]] std::uint64_t sent() const { return sent_.load(std::memory_order_acquire); }

    /// Threads: the receiver.
    [[nodiscard]] std::optional<T> receive() {
        Node* const next = head_.load(std::memory_order_relaxed)->next.load(std::memory_order_acquire);
        if (next == nullptr) return std::nullopt;
        std::optional<T> value(std::exchange(next->value, T{}));
        received_bytes_.store(received_bytes_.load(std::memory_order_relaxed) + next->bytes, std::memory_order_relaxed);
        head_.store(next, std::memory_order_release);
        received_.store(received_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
        return value;
    }

    /// True if there is something to receive.  Threads: the receiver.
    [[nodiscard]] bool waiting() const {
        return head_.load(std::memory_order_relaxed)->next.load(std::memory_order_acquire) != nullptr;
    }

    /// How many values have been received so far.  Threads: any.
    [[nodiscard]] std::uint64_t received() const { return received_.load(std::memory_order_acquire); }

    /// Bytes sent and not yet received.  Threads: any.
    [[nodiscard]] std::size_t outstanding() const {
        // Of the two threads each sees no more received than sent; a third one may.
        const std::size_t received = received_bytes_.load(std::memory_order_relaxed);
        const std::size_t sent = sent_bytes_.load(std::memory_order_relaxed);
        return sent > received ? sent - received : 0;
    }

  private:
    struct Node {
        std::atomic<Node*> next{nullptr};
        T value{};
        std::size_t bytes = 0;
    };

    /// A node that the receiver has left behind, or a new one.
    Node* free_node() {
        if (spare_ == head_seen_) {
            head_seen_ = head_.load(std::memory_order_acquire);
            if (spare_ == head_seen_) {
                ++nodes_;
                return new Node;
            }
        }
        Node* const node = take_spare();
        if (nodes_ > nodes_kept_max && spare_ != head_seen_) {
            delete take_spare();
            --nodes_;
        }
        node->next.store(nullptr, std::memory_order_relaxed);
        return node;
    }
    Node* take_spare() { return std::exchange(spare_, spare_->next.load(std::memory_order_relaxed)); }

    // Usual size of a cache line; std::hardware_destructive_interference_size is not the same for all compilers.
    static constexpr std::size_t line_bytes = 64;

    // One list: the nodes from spare_ up to head_ are free, head_'s value has been taken, those after it wait.
    // The sender's:
    alignas(line_bytes) Node* spare_;
    Node* head_seen_;  // head_ as it was lately
    Node* tail_;
    std::size_t nodes_ = 1;
    std::atomic<std::uint64_t> sent_{0};
    std::atomic<std::size_t> sent_bytes_{0};
    // The receiver's:
    alignas(line_bytes) std::atomic<Node*> head_;
    std::atomic<std::uint64_t> received_{0};
    std::atomic<std::size_t> received_bytes_{0};
};

}  // namespace gateway
