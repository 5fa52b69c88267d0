#include "entrance.h"

#include "confinement.h"
#include "threads.h"

namespace latlab {

void enter(uint32_t threads, int32_t status_descriptor) {
  set_threads(1);  // no thread but this one: Landlock holds those that are started after it
  deny_files();
  set_threads(threads);
  filter_calls(status_descriptor);
}

}  // namespace latlab
