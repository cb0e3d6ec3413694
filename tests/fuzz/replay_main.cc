// Runs a fuzz harness without a fuzzer: first every file of its corpus, then mutations of them under a seed.
//
//   <name>_replay [--seed N] [--rounds N] FILE-OR-FOLDER...
//
// What the harness does not survive is told with the seed and the round, and written to a file when it was a mutation.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include <signal.h>
#include <unistd.h>

#include "routing/base/prng.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

constexpr std::size_t input_bytes_max = 1 << 16;

// Told to the crash handler.
char doing[512] = "nothing yet";
const std::string* current = nullptr;

void on_crash(int signal) {
    const auto write = [](int file, const char* bytes, std::size_t size) { (void)!::write(file, bytes, size); };
    write(2, doing, std::strlen(doing));
    write(2, "\n", 1);
    if (std::FILE* file = std::fopen("fuzz-failed-input", "wb"); file != nullptr && current != nullptr) {
        std::fwrite(current->data(), 1, current->size(), file);
        std::fclose(file);
        constexpr char told[] = "the input is in ./fuzz-failed-input\n";
        write(2, told, sizeof(told) - 1);
    }
    ::signal(signal, SIG_DFL);
    ::raise(signal);
}

void run(const std::string& input) {
    current = &input;
    // Memory of its own, of just that size, for the sanitizers.
    const std::vector<std::uint8_t> bytes(input.begin(), input.end());
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    current = nullptr;
}

std::string mutate(const std::vector<std::string>& corpus, base::Prng& prng) {
    std::string input = corpus[prng.below(corpus.size())];
    const std::uint64_t steps = prng.between(1, 6);
    for (std::uint64_t i = 0; i < steps; ++i) {
        const std::size_t at = input.empty() ? 0 : prng.below(input.size());
        const std::size_t some = std::min<std::size_t>(prng.between(1, 20), input.size() - at);
        switch (prng.below(8)) {
            case 0:
                if (!input.empty()) input[at] = static_cast<char>(prng.next());
                break;
            case 1:
                if (!input.empty()) input[at] = static_cast<char>(input[at] ^ (1 << prng.below(8)));
                break;
            case 2:
                input.erase(at, some);
                break;
            case 3:
                input.insert(at, input.substr(at, some));
                break;
            case 4:
                input.insert(at, 1, "\r\n \t0159>*.-"[prng.below(12)]);
                break;
            case 5:
                input.resize(at);
                break;
            default: {  // a stretch of another one, inserted or appended
                const std::string& other = corpus[prng.below(corpus.size())];
                if (other.empty()) break;
                const std::size_t from = prng.below(other.size());
                const std::size_t much = prng.between(1, std::min<std::size_t>(other.size() - from, 2000));
                input.insert(prng.chance(1, 2) ? at : input.size(), other.substr(from, much));
            }
        }
    }
    if (input.size() > input_bytes_max) input.resize(input_bytes_max);
    return input;
}

}  // namespace

int main(int argc, char** argv) {
    std::uint64_t seed = 1;
    std::uint64_t rounds = 0;
    std::vector<std::string> paths;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if ((word == "--seed" || word == "--rounds") && i + 1 < argc) {
            (word == "--seed" ? seed : rounds) = std::strtoull(argv[++i], nullptr, 10);
        } else if (std::filesystem::is_directory(word)) {
            for (const auto& entry : std::filesystem::directory_iterator(word))
                if (entry.is_regular_file()) paths.push_back(entry.path().string());
        } else {
            paths.push_back(word);
        }
    }
    std::sort(paths.begin(), paths.end());
    for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) ::signal(signal, on_crash);

    std::vector<std::string> corpus;
    for (const std::string& path : paths) {
        std::ifstream file(path, std::ios::binary);
        if (!file) {
            std::cerr << path << ": cannot be read\n";
            return 2;
        }
        std::ostringstream text;
        text << file.rdbuf();
        std::snprintf(doing, sizeof(doing), "the harness did not survive %s", path.c_str());
        run(text.str());
        if (text.str().size() <= input_bytes_max) corpus.push_back(text.str());
    }
    if (corpus.empty()) {
        std::cerr << "no corpus\n";
        return 2;
    }
    for (std::uint64_t round = 0; round < rounds; ++round) {
        base::Prng prng(base::mix_bits(seed) ^ round);
        std::snprintf(doing, sizeof(doing), "the harness did not survive --seed %llu, round %llu",
                      static_cast<unsigned long long>(seed), static_cast<unsigned long long>(round));
        run(mutate(corpus, prng));
    }
    std::cout << paths.size() << " files, " << rounds << " mutations, seed " << seed << ": all well\n";
    return 0;
}
