#include "compat/nats_parser.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "routing/base/check.h"
#include "routing/base/subject.h"

namespace compat {

namespace {

// How much of a line that came in pieces is looked at in one go.  Unit: bytes.
constexpr std::size_t line_piece_bytes = 4096;

// The shortest message that the fast path may look at.  Unit: bytes.
constexpr std::size_t short_pub_bytes_min = sizeof("PUB a 0\r\n\r\n") - 1;

// In the order of NatsParser::Verb.  No name begins another.
struct VerbName {
    std::string_view name;  // lower case
    enum class After : std::uint8_t { blank, anything, skip } after;
};
constexpr VerbName verb_names[] = {
    {"pub", VerbName::After::blank},        {"hpub", VerbName::After::blank},    {"sub", VerbName::After::blank},
    {"unsub", VerbName::After::blank},      {"ping", VerbName::After::skip},     {"pong", VerbName::After::skip},
    {"connect", VerbName::After::anything}, {"info", VerbName::After::anything}, {"+ok", VerbName::After::skip},
    {"-err", VerbName::After::blank},
};

constexpr bool is_blank(char c) {
    return c == ' ' || c == '\t';
}
constexpr bool separates(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool same_letter(char c, char lower) {
    return c == lower || (lower >= 'a' && lower <= 'z' && static_cast<char>(c | 0x20) == lower);
}

// Cuts `text` at runs of blanks.  Returns how many words there are; only the first N are stored.
template <std::size_t N>
std::size_t split(std::string_view text, std::array<std::string_view, N>& words) {
    std::size_t count = 0;
    std::size_t at = 0;
    while (true) {
        while (at < text.size() && separates(text[at])) ++at;
        if (at == text.size()) return count;
        const std::size_t from = at;
        while (at < text.size() && !separates(text[at])) ++at;
        if (count < N) words[count] = text.substr(from, at - from);
        ++count;
    }
}

// A size of a control line: one to size_digits_max decimal digits.
bool parse_size(std::string_view digits, std::uint32_t& value) {
    if (digits.empty() || digits.size() > size_digits_max) return false;
    std::uint32_t sum = 0;
    for (const char c : digits) {
        if (c < '0' || c > '9') return false;
        sum = sum * 10 + static_cast<std::uint32_t>(c - '0');
    }
    value = sum;
    return true;
}

// The first byte in [at, end) that is not above ' ', or `end`.  Looks at eight bytes a time.
const char* find_word_end(const char* at, const char* end) {
    if constexpr (std::endian::native == std::endian::little) {
        while (end - at >= 8) {
            std::uint64_t word = 0;
            std::memcpy(&word, at, 8);
            // The high bit of each byte below 0x21; exact for the first such byte, which is the one that counts.
            const std::uint64_t low = (word - 0x2121212121212121ULL) & ~word & 0x8080808080808080ULL;
            if (low != 0) return at + (std::countr_zero(low) >> 3);
            at += 8;
        }
    }
    while (at<end&& static_cast<std::uint8_t>(*at)> ' ') ++at;
    return at;
}

// Whether `size` >= 8 bytes are equal.  Inline, as what is compared is short.
inline bool same_bytes(const char* a, const char* b, std::size_t size) {
    const auto word_at = [](const char* at) {
        std::uint64_t word = 0;
        std::memcpy(&word, at, 8);
        return word;
    };
    std::uint64_t differs = 0;
    for (std::size_t i = 0; i + 8 < size; i += 8) differs |= word_at(a + i) ^ word_at(b + i);
    return (differs | (word_at(a + size - 8) ^ word_at(b + size - 8))) == 0;
}

}  // namespace

// What the front of some bytes is as a control line.
struct NatsParser::Line {
    enum class State : std::uint8_t { whole, incomplete, wrong };
    State state = State::incomplete;
    NatsError error = NatsError::none;  // wrong
    Verb verb = Verb::pub;
    std::size_t verb_bytes = 0;    // incomplete: 0 if even the verb is not whole
    std::size_t arguments_at = 0;  // after the blanks that follow the verb
    std::string_view arguments;    // whole: without the line's end
    std::size_t line_bytes = 0;    // whole: with the line's end
};

NatsParser::Step NatsParser::fail(NatsError error) {
    if (state_ == State::payload) base::Bytes().swap(tail_);  // else it may hold the line, which event_ shows
    state_ = State::broken;
    error_ = error;
    return Step::broken;
}

void NatsParser::release_tail() {
    if (tail_.capacity() > parser_kept_bytes_max) {
        base::Bytes().swap(tail_);
    } else {
        tail_.clear();
    }
}

// The common case in one pass: "PUB subject [reply ]size\r\n" or "HPUB subject [reply ]header size\r\n" and the whole
// payload, single spaces, all within [in, end).
// Returns where the message ends, or nullptr for whatever is not exactly that; the general path then judges it.
template <bool with_headers>
inline const char* NatsParser::read_short_pub(const char* in, const char* end, Publish& publish) const {
    const char* at = in + (with_headers ? sizeof("HPUB ") : sizeof("PUB ")) - 1;
    const char* const arguments = at;
    // Cuts the next word off and returns the byte that ends it, or 0 where the general path is to look.
    const auto next_word = [&](std::string_view& word) {
        const char* const word_end = find_word_end(at, end);
        if (word_end == at || word_end == end) return '\0';
        word = {at, static_cast<std::size_t>(word_end - at)};
        at = word_end + 1;
        return *word_end;
    };

    std::string_view subject;
    std::string_view reply;
    std::string_view header_size;
    std::string_view size;
    if (next_word(subject) != ' ') return nullptr;
    if (with_headers && next_word(header_size) != ' ') return nullptr;
    char ended_by = next_word(size);
    if (ended_by == ' ') {  // one word more than the shortest form has, so the second is the reply
        reply = with_headers ? header_size : size;
        header_size = size;
        ended_by = next_word(size);
    }
    if (ended_by != '\r' || at == end || *at != '\n') return nullptr;
    if (static_cast<std::size_t>(at - 1 - arguments) > control_line_bytes_max_) return nullptr;
    ++at;

    std::uint32_t header_bytes = 0;
    std::uint32_t body_bytes = 0;
    if (!parse_size(size, body_bytes) || body_bytes > payload_bytes_max_) return nullptr;
    if (with_headers && (!parse_size(header_size, header_bytes) || header_bytes > body_bytes)) return nullptr;
    if (static_cast<std::size_t>(end - at) < std::size_t{body_bytes} + 2) return nullptr;
    if (at[body_bytes] != '\r' || at[body_bytes + 1] != '\n') return nullptr;
    if (pedantic_ && !base::is_valid_literal(subject)) return nullptr;

    publish.subject = subject;
    publish.reply = reply;
    publish.body = {at, body_bytes};
    publish.header_bytes = header_bytes;
    return at + body_bytes + 2;
}

inline const char* NatsParser::read_short(const char* in, const char* end, Publish& publish) const {
    if (static_cast<std::size_t>(end - in) < short_pub_bytes_min) return nullptr;
    const auto is_pub = [](const char* at) {
        return (at[0] | 0x20) == 'p' && (at[1] | 0x20) == 'u' && (at[2] | 0x20) == 'b' && at[3] == ' ';
    };
    if (is_pub(in)) return read_short_pub<false>(in, end, publish);
    if ((in[0] | 0x20) == 'h' && is_pub(in + 1) && headers_allowed_) return read_short_pub<true>(in, end, publish);
    return nullptr;
}

std::size_t NatsParser::look_ahead(base::ByteView in, PublishAhead* out, std::size_t max) {
    if (state_ == State::delivered_from_tail) {
        release_tail();
        state_ = State::control_line;
    }
    if (state_ != State::control_line || !tail_.empty()) return 0;
    const char* at = in.data();
    const char* const end = at + in.size();
    std::size_t line_bytes = 0;  // of the line before, if another like it repeats it; else 0
    std::size_t count = 0;
    for (; count < max; ++count) {
        PublishAhead& next = out[count];
        next.repeats = false;
        if (line_bytes != 0) {
            const Publish& last = out[count - 1].publish;
            const std::size_t body_bytes = last.body.size();
            const char* const body = at + line_bytes;
            if (static_cast<std::size_t>(end - at) >= line_bytes + body_bytes + 2 &&
                same_bytes(at, last.body.data() - line_bytes, line_bytes)) {
                if (body[body_bytes] != '\r' || body[body_bytes + 1] != '\n') break;
                next.publish = last;
                next.publish.body = {body, body_bytes};
                next.repeats = true;
                at = body + body_bytes + 2;
                next.end = static_cast<std::uint32_t>(at - in.data());
                continue;
            }
        }
        const char* const message_end = read_short(at, end, next.publish);
        if (message_end == nullptr) break;
        const bool may_repeat = next.publish.reply.empty();
        if (may_repeat && line_bytes != 0) next.repeats = next.publish.subject == out[count - 1].publish.subject;
        line_bytes = may_repeat ? static_cast<std::size_t>(next.publish.body.data() - at) : 0;
        at = message_end;
        next.end = static_cast<std::uint32_t>(at - in.data());
    }
    return count;
}

NatsParser::Step NatsParser::step(base::ByteView& in) {
    if (state_ == State::control_line && tail_.empty()) {
        const char* const message_end = read_short(in.data(), in.data() + in.size(), event_.publish);
        if (message_end == nullptr) return step_line(in);
        event_.verb = ClientVerb::publish;
        in.remove_prefix(static_cast<std::size_t>(message_end - in.data()));
        return Step::event;
    }
    switch (state_) {
        case State::control_line:
            return continue_line(in);
        case State::payload:
            return continue_payload(in);
        case State::delivered_from_tail:
            release_tail();
            state_ = State::control_line;
            return step_line(in);
        case State::broken:
            return Step::broken;
    }
    return Step::broken;
}

NatsParser::Line NatsParser::read_line(base::ByteView bytes) const {
    Line line;
    const auto wrong = [&](NatsError error) {
        line.state = Line::State::wrong;
        line.error = error;
        return line;
    };

    // The verb, refused at its first wrong byte.
    bool begins_one = false;
    for (std::size_t i = 0; i < std::size(verb_names) && line.verb_bytes == 0; ++i) {
        const std::string_view name = verb_names[i].name;
        std::size_t same = 0;
        while (same < name.size() && same < bytes.size() && same_letter(bytes[same], name[same])) ++same;
        if (same == name.size()) {
            line.verb = static_cast<Verb>(i);
            line.verb_bytes = same;
        }
        if (same == bytes.size()) begins_one = true;
    }
    if (line.verb_bytes == 0) return begins_one ? line : wrong(NatsError::unknown_operation);

    const VerbName::After after = verb_names[static_cast<std::size_t>(line.verb)].after;
    line.arguments_at = line.verb_bytes;
    if (after != VerbName::After::skip) {
        if (after == VerbName::After::blank && line.verb_bytes < bytes.size() && !is_blank(bytes[line.verb_bytes]))
            return wrong(NatsError::unknown_operation);
        while (line.arguments_at < bytes.size() && is_blank(bytes[line.arguments_at])) ++line.arguments_at;
    }

    const char* const from = bytes.data() + line.arguments_at;
    const std::size_t rest = bytes.size() - line.arguments_at;
    // As in stock, the first byte after the blanks belongs to the arguments even if it is a '\n': the line goes on.
    const bool may_go_on = after != VerbName::After::skip && line.verb != Verb::pub && line.verb != Verb::hpub;
    const std::size_t goes_on = may_go_on && rest != 0 && *from == '\n' ? 1 : 0;
    const auto* newline =
        rest == goes_on ? nullptr : static_cast<const char*>(std::memchr(from + goes_on, '\n', rest - goes_on));
    std::size_t length = newline == nullptr ? rest : static_cast<std::size_t>(newline - from);
    if (length != 0 && from[length - 1] == '\r') --length;
    if (after == VerbName::After::skip) {
        length = 0;  // whatever follows these verbs is nobody's business
    } else if (length > control_line_bytes_max_) {
        return wrong(NatsError::control_line_too_long);
    }
    if (newline == nullptr) return line;
    line.state = Line::State::whole;
    line.arguments = {from, length};
    line.line_bytes = static_cast<std::size_t>(newline - bytes.data()) + 1;
    return line;
}

NatsParser::Step NatsParser::step_line(base::ByteView& in) {
    if (in.empty()) return Step::need_more;
    const Line line = read_line(in);
    switch (line.state) {
        case Line::State::wrong:
            return fail(line.error);
        case Line::State::incomplete:
            return continue_line(in);
        case Line::State::whole:
            break;
    }
    in.remove_prefix(line.line_bytes);
    return on_line(line, in);
}

NatsParser::Step NatsParser::continue_line(base::ByteView& in) {
    while (!in.empty()) {
        base::ByteView piece = in.substr(0, line_piece_bytes);
        const std::size_t newline = piece.find('\n');
        if (newline != base::ByteView::npos) piece = piece.substr(0, newline + 1);
        tail_.append(piece);
        in.remove_prefix(piece.size());

        const Line line = read_line(tail_);
        switch (line.state) {
            case Line::State::wrong:
                return fail(line.error);
            case Line::State::whole:
                state_ = State::delivered_from_tail;
                return on_line(line, in);
            case Line::State::incomplete:
                break;
        }
        // What may be without end is not kept: the blanks after a verb (but one), and all that follows a PING.
        if (line.verb_bytes != 0) {
            if (verb_names[static_cast<std::size_t>(line.verb)].after == VerbName::After::skip) {
                tail_.resize(line.verb_bytes);
            } else if (line.arguments_at > line.verb_bytes + 1) {
                tail_.erase(line.verb_bytes + 1, line.arguments_at - line.verb_bytes - 1);
            }
        }
    }
    return Step::need_more;
}

NatsParser::Step NatsParser::on_line(const Line& line, base::ByteView& in) {
    std::array<std::string_view, 3> words;
    event_.arguments = line.arguments;
    switch (line.verb) {
        case Verb::pub:
            return on_publish(line.arguments, false, in);
        case Verb::hpub:
            return on_publish(line.arguments, true, in);
        case Verb::sub: {
            const std::size_t count = split(line.arguments, words);
            if (count != 2 && count != 3) return fail(NatsError::bad_arguments);
            event_.verb = ClientVerb::subscribe;
            event_.subject = words[0];
            event_.queue = count == 3 ? words[1] : std::string_view();
            event_.sid = words[count - 1];
            return Step::event;
        }
        case Verb::unsub: {
            const std::size_t count = split(line.arguments, words);
            if (count != 1 && count != 2) return fail(NatsError::bad_arguments);
            event_.verb = ClientVerb::unsubscribe;
            event_.sid = words[0];
            if (count == 1 || !parse_size(words[1], event_.max)) event_.max = 0;
            return Step::event;
        }
        case Verb::ping:
            event_.verb = ClientVerb::ping;
            return Step::event;
        case Verb::pong:
            event_.verb = ClientVerb::pong;
            return Step::event;
        case Verb::connect:
            event_.verb = ClientVerb::connect;
            return Step::event;
        case Verb::info:
            event_.verb = ClientVerb::info;
            return Step::event;
        case Verb::ok:
            event_.verb = ClientVerb::ok;
            return Step::event;
        case Verb::err:
            event_.verb = ClientVerb::err;
            return Step::event;
    }
    return fail(NatsError::unknown_operation);
}

NatsParser::Step NatsParser::on_publish(std::string_view arguments, bool with_headers, base::ByteView& in) {
    if (with_headers && !headers_allowed_) return fail(NatsError::headers_not_negotiated);
    std::array<std::string_view, 4> words;
    const std::size_t count = split(arguments, words);
    const std::size_t sizes = with_headers ? 2 : 1;
    if (count != sizes + 1 && count != sizes + 2) return fail(NatsError::bad_arguments);
    std::uint32_t header_bytes = 0;
    std::uint32_t body_bytes = 0;
    if (!parse_size(words[count - 1], body_bytes)) return fail(NatsError::bad_arguments);
    if (with_headers && (!parse_size(words[count - 2], header_bytes) || header_bytes > body_bytes))
        return fail(NatsError::bad_arguments);
    if (body_bytes > payload_bytes_max_) return fail(NatsError::payload_too_large);

    event_.verb = ClientVerb::publish;
    event_.publish.subject = words[0];
    event_.publish.reply = count == sizes + 2 ? words[1] : std::string_view();
    event_.publish.header_bytes = header_bytes;
    if (pedantic_ && !base::is_valid_literal(words[0])) {
        keep_line(body_bytes);
        event_.verb = ClientVerb::odd_publish;
        return Step::event;
    }
    return take_body(body_bytes, in);
}

// The line of a publish is read, event_ has its subject and reply (in tail_ if state_ is delivered_from_tail).
NatsParser::Step NatsParser::take_body(std::uint32_t body_bytes, base::ByteView& in) {
    if (in.size() > body_bytes && in[body_bytes] != '\r') return fail(NatsError::unknown_operation);
    if (in.size() >= std::size_t{body_bytes} + 2) {
        if (in[body_bytes + 1] != '\n') return fail(NatsError::unknown_operation);
        event_.publish.body = in.substr(0, body_bytes);
        in.remove_prefix(std::size_t{body_bytes} + 2);
        return Step::event;
    }
    keep_line(body_bytes);
    return continue_payload(in);
}

// Goes on to collect the payload.  Subject and reply move to the front of tail_, or are copied there; both stay in
// order, so nothing is overwritten before it is read.
void NatsParser::keep_line(std::uint32_t body_bytes) {
    const std::string_view subject = event_.publish.subject;
    const std::string_view reply = event_.publish.reply;
    subject_bytes_ = static_cast<std::uint32_t>(subject.size());
    reply_bytes_ = static_cast<std::uint32_t>(reply.size());
    body_bytes_ = body_bytes;
    if (state_ == State::delivered_from_tail) {
        std::memmove(tail_.data(), subject.data(), subject.size());
        if (!reply.empty()) std::memmove(tail_.data() + subject.size(), reply.data(), reply.size());
        tail_.resize(subject.size() + reply.size());
    } else {
        tail_.assign(subject).append(reply);
    }
    event_.publish.subject = base::ByteView(tail_).substr(0, subject_bytes_);
    state_ = State::payload;
}

NatsParser::Step NatsParser::continue_payload(base::ByteView& in) {
    const std::size_t body_at = std::size_t{subject_bytes_} + reply_bytes_;
    const std::size_t whole = body_at + body_bytes_ + 2;
    const base::ByteView piece = in.substr(0, whole - tail_.size());
    const std::size_t needed = tail_.size() + piece.size();
    if (needed > tail_.capacity()) {
        // A new string, as reserve() on an old one may take twice what it has whatever is asked for.
        base::Bytes larger;
        larger.reserve(std::min(whole, std::max(needed, 2 * tail_.capacity())));
        larger.append(tail_);
        tail_.swap(larger);
    }
    tail_.append(piece);
    in.remove_prefix(piece.size());

    const std::size_t end_at = body_at + body_bytes_;
    if (tail_.size() > end_at && tail_[end_at] != '\r') return fail(NatsError::unknown_operation);
    if (tail_.size() < whole) return Step::need_more;
    if (tail_[end_at + 1] != '\n') return fail(NatsError::unknown_operation);

    const base::ByteView tail = tail_;
    event_.verb = ClientVerb::publish;
    event_.publish.subject = tail.substr(0, subject_bytes_);
    event_.publish.reply = tail.substr(subject_bytes_, reply_bytes_);
    event_.publish.body = tail.substr(body_at, body_bytes_);
    state_ = State::delivered_from_tail;
    return Step::event;
}

}  // namespace compat
