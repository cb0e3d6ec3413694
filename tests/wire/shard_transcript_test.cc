#include <catch2/catch.hpp>

#include "tests/wire/shard_target.h"
#include "tests/wire/transcript.h"

using namespace wire;

TEST_CASE("all transcripts hold for the shards of a gateway, one or two, whatever the pieces", "[wire][gateway]") {
    std::string error;
    const std::vector<Transcript> transcripts = load_transcripts(TREEGATE_WIRE_FOLDER, error);
    CAPTURE(error);
    REQUIRE(error.empty());
    for (const Transcript& transcript : transcripts) {
        for (const routing::ShardIndex shards : {routing::ShardIndex{1}, routing::ShardIndex{2}}) {
            for (const std::size_t piece_bytes : {std::size_t{1} << 20, std::size_t{1}, std::size_t{7}}) {
                CAPTURE(transcript.name, shards, piece_bytes);
                ShardTarget target(transcript.options, shards, piece_bytes);
                const auto wrong = run_transcript(transcript, target);
                INFO(wrong.value_or(""));
                CHECK_FALSE(wrong.has_value());
            }
        }
    }
}
