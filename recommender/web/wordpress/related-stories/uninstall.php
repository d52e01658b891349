<?php
/**
 * Leaves nothing behind: options, widgets and cached lists.
 *
 * @package Related_Stories
 */

defined( 'WP_UNINSTALL_PLUGIN' ) || exit;

delete_option( 'related_stories' );
delete_option( 'widget_related_stories' );

global $wpdb;
$related_stories_names = $wpdb->get_col( // phpcs:ignore WordPress.DB.DirectDatabaseQuery -- transients cannot be listed otherwise.
	$wpdb->prepare( "SELECT option_name FROM $wpdb->options WHERE option_name LIKE %s", $wpdb->esc_like( '_transient_related_stories_' ) . '%' )
);
foreach ( $related_stories_names as $related_stories_name ) {
	delete_transient( substr( $related_stories_name, strlen( '_transient_' ) ) );
}
