# The three rules the folders are built from, and the flags that hold everywhere.

option(SL_FUZZ "build the fuzz targets (needs clang)" OFF)
set(SL_SANITIZE "" CACHE STRING "sanitizers, as in -fsanitize=")

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

add_compile_options(-Wall -Wextra -Wconversion -Werror -Wno-sign-conversion -fno-strict-aliasing
                    -fvisibility=hidden)
add_compile_definitions(_GNU_SOURCE)
set(CMAKE_C_FLAGS_RELEASE "-O2 -g1")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g -fno-omit-frame-pointer")
set(CMAKE_CXX_FLAGS_RELEASE ${CMAKE_C_FLAGS_RELEASE})
set(CMAKE_CXX_FLAGS_DEBUG ${CMAKE_C_FLAGS_DEBUG})
if(SL_SANITIZE)
  add_compile_options(-fsanitize=${SL_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${SL_SANITIZE})
endif()
if(SL_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# sl_module(queue): the static library of one folder, made of all its sources.
function(sl_module name)
  file(GLOB sources CONFIGURE_DEPENDS *.c)
  list(FILTER sources EXCLUDE REGEX "/main\\.c$")
  if(NOT sources)
    file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/empty.c "")
    set(sources ${CMAKE_CURRENT_BINARY_DIR}/empty.c)
  endif()
  add_library(sluice-${name} STATIC ${sources} ${ARGN})
  set_target_properties(sluice-${name} PROPERTIES LINKER_LANGUAGE C)
  target_include_directories(sluice-${name} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(sluice-${name} PUBLIC Threads::Threads)
endfunction()

# sl_foreign(runtime libzmq lmdb): foreign libraries, each linked by one folder only.
function(sl_foreign name)
  foreach(package ${ARGN})
    string(MAKE_C_IDENTIFIER ${package} id)
    pkg_check_modules(SL_PKG_${id} REQUIRED IMPORTED_TARGET ${package})
    target_link_libraries(sluice-${name} PRIVATE PkgConfig::SL_PKG_${id})
  endforeach()
endfunction()

# sl_plugin(text a.c b.c): build/lib/sluice/NAME.so, loaded by a replica after its fork.
function(sl_plugin name)
  add_library(plugin-${name} MODULE ${ARGN})
  target_include_directories(plugin-${name} PRIVATE ${CMAKE_SOURCE_DIR}
                             ${CMAKE_SOURCE_DIR}/extractors/include)
  set_target_properties(plugin-${name} PROPERTIES PREFIX "" OUTPUT_NAME ${name}
                        LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib/sluice)
endfunction()

# sl_test(queue/lease sluice-queue): tests/queue/lease_test.c with Criterion.
# Not built in ThreadSanitizer or fuzz builds: Criterion forks, which neither survives.
pkg_check_modules(CRITERION QUIET IMPORTED_TARGET criterion)
find_program(SL_LD_GOLD ld.gold) # Links two hundred tests in half the time.
function(sl_test path)
  if(SL_FUZZ OR SL_SANITIZE MATCHES "thread" OR NOT CRITERION_FOUND)
    return()
  endif()
  string(REPLACE "/" "-" name ${path})
  add_executable(test-${name} ${CMAKE_SOURCE_DIR}/tests/${path}_test.c)
  target_link_libraries(test-${name} PRIVATE ${ARGN} PkgConfig::CRITERION)
  target_compile_definitions(test-${name} PRIVATE SL_BINARY_DIR="${CMAKE_BINARY_DIR}"
                             SL_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  if(SL_LD_GOLD)
    target_link_options(test-${name} PRIVATE -fuse-ld=gold)
  endif()
  # Criterion's assertion macros convert freely; our own code is held to -Wconversion.
  target_compile_options(test-${name} PRIVATE -Wno-conversion -Wno-unused-value)
  set_target_properties(test-${name} PROPERTIES
                        RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${path} COMMAND test-${name})
endfunction()

# sl_tsan_test(runtime/live sluice-runtime): tests/runtime/live_tsan.c, a plain executable.
function(sl_tsan_test path)
  string(REPLACE "/" "-" name ${path})
  add_executable(tsan-${name} ${CMAKE_SOURCE_DIR}/tests/${path}_tsan.c
                 ${CMAKE_SOURCE_DIR}/tests/runtime/thread_reports.c)
  target_link_libraries(tsan-${name} PRIVATE ${ARGN})
  set_target_properties(tsan-${name} PROPERTIES
                        RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${path}-threads COMMAND tsan-${name})
endfunction()

# sl_fuzz(object-store/safetensors sluice-object-store): tests/object-store/safetensors_fuzz.c,
# seeds in tests/object-store/corpus/safetensors/.
function(sl_fuzz path)
  if(NOT SL_FUZZ)
    return()
  endif()
  string(REPLACE "/" "-" name ${path})
  add_executable(fuzz-${name} ${CMAKE_SOURCE_DIR}/tests/${path}_fuzz.c)
  target_link_libraries(fuzz-${name} PRIVATE ${ARGN})
  target_link_options(fuzz-${name} PRIVATE -fsanitize=fuzzer)
  set_target_properties(fuzz-${name} PROPERTIES
                        RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
endfunction()
