# The Debian package, by CPack: `npm run package` stages what CMake does not build (the Node modules
# that run, the manual pages) below build/stage, then calls cpack.
set(STAGE ${CMAKE_BINARY_DIR}/stage)
set(HOME lib/sluice)
set(PACKAGING ${CMAKE_SOURCE_DIR}/src/packaging)
file(READ ${CMAKE_SOURCE_DIR}/package.json MANIFEST)
string(JSON SLUICE_VERSION GET "${MANIFEST}" version)

# dist/ and build/Release/ keep their places beside package.json: `bindings` and the loader of the
# eBPF programs look for them there.
install(FILES package.json DESTINATION ${HOME})
install(DIRECTORY dist/ DESTINATION ${HOME}/dist
        PATTERN "*.map" EXCLUDE PATTERN ".*" EXCLUDE PATTERN "lab" EXCLUDE PATTERN "packaging" EXCLUDE)
install(DIRECTORY ${STAGE}/node_modules/ DESTINATION ${HOME}/node_modules)
foreach(module sluice sluice_live)
  if(TARGET ${module})
    install(TARGETS ${module} LIBRARY DESTINATION ${HOME}/build/Release)
  endif()
endforeach()
install(FILES ${BPF_OBJECTS} DESTINATION ${HOME}/build/Release)
# Debian 12's own nodejs is version 18.
install(PROGRAMS ${STAGE}/node DESTINATION ${HOME}/bin)
install(PROGRAMS ${PACKAGING}/sluice DESTINATION sbin)
# Not in the search path: Debian's ipvsadm is there, and both may be installed.
install(PROGRAMS ${PACKAGING}/ipvsadm DESTINATION ${HOME}/bin)
install(FILES ${PACKAGING}/director.yaml DESTINATION /etc/sluice)
install(FILES ${PACKAGING}/default DESTINATION /etc/default RENAME sluice)
install(FILES ${PACKAGING}/sluice.service DESTINATION /lib/systemd/system)
install(FILES ${STAGE}/sluice.8.gz DESTINATION share/man/man8)
install(FILES ${STAGE}/sluice.yaml.5.gz DESTINATION share/man/man5)
install(FILES ${PACKAGING}/lintian-overrides DESTINATION share/lintian/overrides RENAME sluice)
install(FILES README.md ${PACKAGING}/copyright ${STAGE}/changelog.gz DESTINATION share/doc/sluice)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME sluice)
set(CPACK_PACKAGE_VERSION ${SLUICE_VERSION})
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "layer-4 load balancer for Linux Virtual Server users")
set(CPACK_PACKAGE_DESCRIPTION "A director with a DPDK dataplane and a TypeScript control plane.
All five forwarding modes of LVS (NAT, DR, TUN, FullNAT, ENAT), health checks,
keepalived.conf and ipvsadm as they are.")
set(CPACK_PACKAGE_CONTACT "The Sluice developers <sluice@localhost>")
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE gzip)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# Drivers are plugins that no library names.
set(CPACK_DEBIAN_PACKAGE_DEPENDS "librte-meta-net, librte-meta-bus, librte-meta-mempool")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "dpdk, iproute2")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "ipvsadm, keepalived, bird2, prometheus-node-exporter")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
    "${PACKAGING}/conffiles;${PACKAGING}/postinst;${PACKAGING}/prerm;${PACKAGING}/postrm")
include(CPack)
