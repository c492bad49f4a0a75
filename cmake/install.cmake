# cmake --install: headers, both libraries, gdb's script, a CMake package and a pkg-config file.
include(CMakePackageConfigHelpers)

set(CIO_CMAKEDIR ${CMAKE_INSTALL_LIBDIR}/cmake/cio)
install(TARGETS cio cio_static EXPORT cioTargets)
install(DIRECTORY include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(FILES ${CIO_GDB_SCRIPT} DESTINATION ${CMAKE_INSTALL_DATADIR}/cio)
install(EXPORT cioTargets NAMESPACE cio:: DESTINATION ${CIO_CMAKEDIR})

configure_package_config_file(cmake/cioConfig.cmake.in ${PROJECT_BINARY_DIR}/cioConfig.cmake
    INSTALL_DESTINATION ${CIO_CMAKEDIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/cioConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/cioConfig.cmake ${PROJECT_BINARY_DIR}/cioConfigVersion.cmake
    DESTINATION ${CIO_CMAKEDIR})

# cio.pc finds its prefix from where it lies, so that the installed tree can be moved.
set(CIO_PKGCONFIGDIR ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH CIO_PC_TO_PREFIX
    ${CMAKE_INSTALL_PREFIX}/${CIO_PKGCONFIGDIR} ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" CIO_PC_TO_PREFIX ${CIO_PC_TO_PREFIX})
set(CIO_PC_REQUIRES "")
if(CIO_TLS)
    set(CIO_PC_REQUIRES "libssl >= 3.0, libcrypto")
endif()
configure_file(cmake/cio.pc.in ${PROJECT_BINARY_DIR}/cio.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/cio.pc DESTINATION ${CIO_PKGCONFIGDIR})
