// A value or an error, for what the world may refuse.  (std::expected is C++23.)
#pragma once

#include <utility>
#include <variant>

#include "routing/base/check.h"

namespace base {

/// Wraps an error so that `return failure(Error::x)` converts to any Result with that error type.
template <typename E>
struct Failure {
    E error;
};

template <typename E>
Failure<E> failure(E error) {
    return Failure<E>{std::move(error)};
}

/// Either a T or an E.  value() and error() check that they are what is there.
template <typename T, typename E>
class [[nodiscard]] Result {
  public:
    // Not explicit: `return value;` and `return failure(error);` are what it is for.
    // NOLINTNEXTLINE(google-explicit-constructor)
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    // NOLINTNEXTLINE(google-explicit-constructor)
    Result(Failure<E> wrong) : state_(std::in_place_index<1>, std::move(wrong.error)) {}

    [[nodiscard]] bool ok() const { return state_.index() == 0; }
    explicit operator bool() const { return ok(); }

    T& value() & {
        BASE_CHECK(ok());
        return std::get<0>(state_);
    }
    const T& value() const& {
        BASE_CHECK(ok());
        return std::get<0>(state_);
    }
    T&& value() && {
        BASE_CHECK(ok());
        return std::get<0>(std::move(state_));
    }
    const E& error() const {
        BASE_CHECK(!ok());
        return std::get<1>(state_);
    }

  private:
    std::variant<T, E> state_;
};

template <typename E>
class [[nodiscard]] Result<void, E> {
  public:
    Result() = default;
    // NOLINTNEXTLINE(google-explicit-constructor)
    Result(Failure<E> wrong) : state_(std::in_place_index<1>, std::move(wrong.error)) {}

    [[nodiscard]] bool ok() const { return state_.index() == 0; }
    explicit operator bool() const { return ok(); }
    const E& error() const {
        BASE_CHECK(!ok());
        return std::get<1>(state_);
    }

  private:
    std::variant<std::monostate, E> state_;
};

}  // namespace base
