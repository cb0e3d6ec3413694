#include "tests/wire/transcript.h"

#include <catch2/catch.hpp>
#include <set>
#include <string>

#include "tests/wire/session_target.h"

using namespace wire;

namespace {

std::string parse_error(std::string_view text) {
    std::string error;
    CHECK_FALSE(parse_transcript("t.wire", text, error).has_value());
    return error;
}

std::optional<std::string> play(std::string_view text) {
    std::string error;
    const auto transcript = parse_transcript("t.wire", text, error);
    CAPTURE(error);
    REQUIRE(transcript.has_value());
    SessionTarget target(transcript->options, 1000);
    return run_transcript(*transcript, target);
}

}  // namespace

TEST_CASE("all transcripts hold for compat alone, whatever the pieces", "[wire]") {
    std::string error;
    const std::vector<Transcript> transcripts = load_transcripts(TREEGATE_WIRE_FOLDER, error);
    CAPTURE(error);
    REQUIRE(error.empty());
    CHECK(transcripts.size() >= 30);
    for (const Transcript& transcript : transcripts) {
        for (const std::size_t piece_bytes : {std::size_t{1} << 20, std::size_t{1}, std::size_t{7}, std::size_t{100}}) {
            CAPTURE(transcript.name, piece_bytes);
            SessionTarget target(transcript.options, piece_bytes);
            const auto wrong = run_transcript(transcript, target);
            INFO(wrong.value_or(""));
            CHECK_FALSE(wrong.has_value());
        }
    }
}

TEST_CASE("every verb and every answer is in some transcript", "[wire]") {
    std::string error;
    std::set<std::string> seen;
    for (const Transcript& transcript : load_transcripts(TREEGATE_WIRE_FOLDER, error)) {
        for (const WireEntry& entry : transcript.entries) {
            const std::string direction = entry.kind == WireEntry::Kind::send ? "> " : "< ";
            if (entry.kind == WireEntry::Kind::expect_info) {
                seen.insert("< INFO");
            } else if (entry.kind == WireEntry::Kind::expect_closed) {
                seen.insert("< <closed>");
            } else {
                seen.insert(direction + entry.bytes.substr(0, entry.bytes.find_first_of(" \r")));
            }
        }
    }
    for (const char* word : {"> CONNECT", "> PING", "> PONG", "> SUB", "> UNSUB", "> PUB", "> HPUB", "> INFO", "> +OK",
                             "> -ERR", "< INFO", "< PONG", "< MSG", "< HMSG", "< +OK", "< -ERR", "< <closed>"}) {
        CAPTURE(word);
        CHECK(seen.count(word) == 1);
    }
}

TEST_CASE("a transcript's escapes become bytes", "[wire]") {
    std::string error;
    const auto transcript = parse_transcript(
        "t.wire", "# comment\n\n! max_payload 8\na1> x\\r\\n\\t\\\\\\x00\\{ab*3}\n>> raw\nb< q\\[12]w\n> <closed>\n",
        error);
    REQUIRE(transcript.has_value());
    CHECK(transcript->options.values.at("max_payload") == "8");
    REQUIRE(transcript->entries.size() == 4);
    CHECK(transcript->entries[0].client == "a1");
    CHECK(transcript->entries[0].bytes == std::string("x\r\n\t\\\0", 6) + "ababab\r\n");
    CHECK(transcript->entries[0].line == 4);
    CHECK(transcript->entries[1].bytes == "raw");
    CHECK_FALSE(transcript->entries[1].whole);
    CHECK(transcript->entries[2].choices.at(1) == "12");
    CHECK(transcript->entries[3].kind == WireEntry::Kind::hang_up);
}

TEST_CASE("a transcript that is wrong is refused with its line", "[wire]") {
    CHECK(parse_error("") == "t.wire: nothing in it");
    CHECK(parse_error("> a\nwhat\n").find("t.wire:2: ") == 0);
    CHECK(parse_error("> a\\\n").find("t.wire:1: ") == 0);
    CHECK(parse_error("> \\q\n").find("unknown escape") != std::string::npos);
    CHECK(parse_error("> \\x1\n").find("hexadecimal") != std::string::npos);
    CHECK(parse_error("> \\{a*x}\n").find("count") != std::string::npos);
    CHECK(parse_error("> \\{a*99999999999}\n").find("count") != std::string::npos);
    CHECK(parse_error("> \\[ab]\n").find("server") != std::string::npos);
    CHECK(parse_error("< INFO nonsense\n").find("JSON") != std::string::npos);
    CHECK(parse_error("! key\n> a\n").find("key value") != std::string::npos);
    CHECK(parse_error("! max_colour 5\n> a\n").find("max_colour") != std::string::npos);
    CHECK(parse_error("! mapping a 50 b\n> a\n").find("weight%") != std::string::npos);
    CHECK(parse_error("! mapping a 50%\n> a\n").find("weight%") != std::string::npos);
    CHECK(parse_error("! mapping a 50% b..c\n> a\n").find("invalid transform") != std::string::npos);
}

TEST_CASE("the runner notices what differs", "[wire]") {
    const std::string quiet = "> CONNECT {\"verbose\":false}\n";
    CHECK_FALSE(play(quiet + "> PING\n< PONG\n").has_value());
    CHECK(play(quiet + "> PING\n< PING\n").value().find("t.wire:3: expected: PING") == 0);
    CHECK(play(quiet + "< PONG\n").has_value());                                    // nothing comes
    CHECK(play("> CONNECT {}\n").value().find("at the end") != std::string::npos);  // an +OK that nobody told of
    CHECK(play(quiet + "> PING\n< PONG\n< <closed>\n").value().find("stays open") != std::string::npos);
    CHECK(play("> X\n< <closed>\n").value().find("the end was expected, got") != std::string::npos);
    CHECK(play("< INFO {\"port\":1}\n> PING\n< PONG\n").value().find("key port") != std::string::npos);
    CHECK(play("< INFO {\"port\":null}\n> PING\n< PONG\n").value().find("key port") != std::string::npos);
    CHECK(play("< INFO! {\"proto\":1}\n> PING\n< PONG\n").value().find("nobody told of key") != std::string::npos);
    CHECK(play("< INFO {\"nonce\":\"*\"}\n> PING\n< PONG\n").value().find("key nonce") != std::string::npos);
    CHECK(play(quiet + "> SUB a 5\n> PUB a 0\\r\\n\n< MSG a \\[12] 0\\r\\n\n").has_value());
    CHECK_FALSE(
        play(quiet + "> SUB a 1\n> SUB a 2\n> PUB a 0\\r\\n\n<* MSG a 2 0\\r\\n\n<* MSG a 1 0\\r\\n\n").has_value());
    CHECK(play(quiet + "> SUB a 1\n> SUB a 2\n> PUB a 0\\r\\n\n<* MSG a 2 0\\r\\n\n<* MSG a 2 0\\r\\n\n").has_value());
}
