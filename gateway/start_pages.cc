#include "gateway/start_pages.h"

#include <cstdint>
#include <fstream>
#include <string>
#include <string_view>

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

namespace gateway {

namespace {

// A debugger's breakpoints are changes to pages, and would be lost.  Source: proc(5), status.
bool is_traced() {
    std::ifstream status("/proc/self/status");
    for (std::string word; status >> word;) {
        if (word != "TracerPid:") continue;
        int tracer = 0;
        return (status >> tracer) && tracer != 0;
    }
    return false;
}

int drop_object(dl_phdr_info* object, std::size_t /*size*/, void* total) {
    // The kernel's own object is no file.
    if (std::string_view(object->dlpi_name).find("vdso") != std::string_view::npos) return 0;
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    for (int i = 0; i < object->dlpi_phnum; ++i) {
        const auto& segment = object->dlpi_phdr[i];
        if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
        const std::uintptr_t from = (object->dlpi_addr + segment.p_vaddr) / page * page;
        const std::uintptr_t to = (object->dlpi_addr + segment.p_vaddr + segment.p_memsz) / page * page;
        // NOLINTNEXTLINE(performance-no-int-to-ptr): the loader tells addresses as numbers
        if (to <= from || ::madvise(reinterpret_cast<void*>(from), to - from, MADV_DONTNEED) != 0) continue;
        *static_cast<std::size_t*>(total) += to - from;
    }
    return 0;
}

}  // namespace

std::size_t drop_start_pages() {
    std::size_t total = 0;
    if (is_traced()) return total;
    ::dl_iterate_phdr(drop_object, &total);
    return total;
}

}  // namespace gateway
