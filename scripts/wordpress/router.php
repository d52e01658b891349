<?php
// For PHP's own server: files that are there are served, every other address is WordPress's.
$path = rawurldecode( (string) parse_url( $_SERVER['REQUEST_URI'], PHP_URL_PATH ) );
$root = realpath( $_SERVER['DOCUMENT_ROOT'] );
$file = strpos( $path, "\0" ) === false ? realpath( $root . $path ) : false;
if ( $file && strpos( $file . '/', $root . '/' ) === 0 && $path !== '/' && ! preg_match( '~/(\.|debug\.log)~', $path ) ) {
	if ( is_dir( $file ) && substr( $path, -1 ) !== '/' ) {
		header( 'Location: ' . str_replace( '%2F', '/', rawurlencode( $path ) ) . '/', true, 301 );
		return true;
	}
	if ( is_file( $file ) || is_file( $file . '/index.php' ) ) {
		return false;
	}
}
$_SERVER['SCRIPT_NAME'] = '/index.php';
$_SERVER['PHP_SELF'] = '/index.php';
$_SERVER['SCRIPT_FILENAME'] = $root . '/index.php';
require $root . '/index.php';
