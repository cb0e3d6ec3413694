#include "gateway/start_pages.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <string>

namespace gateway {
namespace {

// Pages of files that are mapped and resident.  Source: proc(5), statm.
std::size_t shared_pages() {
    std::ifstream in("/proc/self/statm");
    std::size_t size = 0;
    std::size_t resident = 0;
    std::size_t shared = 0;
    in >> size >> resident >> shared;
    return shared;
}

TEST_CASE("what only the start needed is not resident any more, and works when it is needed after all", "[gateway]") {
    const std::size_t before = shared_pages();
    REQUIRE(before > 0);
    CHECK(drop_start_pages() > std::size_t{1} << 20);
    CHECK(shared_pages() < before);
    CHECK(drop_start_pages() > 0);
    CHECK(std::to_string(before).size() > 0);
}

}  // namespace
}  // namespace gateway
