<?php
// Installs WordPress and fills it with articles, once: php fill.php ARTICLES.jsonl < PASSWORD. Beside wp-load.php.
$password = trim( stream_get_contents( STDIN ) );
$_SERVER['HTTP_HOST'] = '127.0.0.1';
define( 'WP_INSTALLING', true );

preg_match( "/'localhost:(.*)'/", file_get_contents( __DIR__ . '/wp-config.php' ), $socket );
$database = new mysqli( null, 'root', '', '', 0, $socket[1] );
$database->query( 'CREATE DATABASE IF NOT EXISTS wordpress CHARACTER SET utf8mb4' );
$database->close();

require __DIR__ . '/wp-load.php';
require_once ABSPATH . 'wp-admin/includes/upgrade.php';
add_filter( 'pre_wp_mail', '__return_false' );
add_filter( 'pre_http_request', '__return_true' );

if ( ! is_blog_installed() ) {
	wp_install( 'The Meridian', 'admin', 'admin@meridian.example', true, '', $password );
}
if ( get_option( 'newsroom_filled' ) ) {
	exit;
}
wp_set_current_user( 1 );

/** The id of an author by name; made where there is none. */
function author( string $name ): int {
	$login = sanitize_user( sanitize_title( $name ), true );
	$user  = get_user_by( 'login', $login );
	if ( $user ) {
		return $user->ID;
	}
	$made = wp_insert_user(
		array(
			'user_login'   => $login,
			'user_pass'    => wp_generate_password( 24 ),
			'user_email'   => "$login@meridian.example",
			'display_name' => $name,
			'role'         => 'author',
		)
	);
	return is_wp_error( $made ) ? 1 : $made;
}

/** One article as a post. */
function post( array $article, string $status ): int {
	$fields = array(
		'post_title'    => $article['title'],
		'post_content'  => $article['body'],
		'post_name'     => $article['id'],
		'post_status'   => $status,
		'post_author'   => empty( $article['authors'] ) ? 1 : author( $article['authors'][0] ),
		'tags_input'    => $article['tags'] ?? array(),
		'post_password' => $article['password'] ?? '',
	);
	if ( ! empty( $article['section'] ) ) {
		$fields['post_category'] = array( wp_create_category( $article['section'] ) );
	}
	if ( ! empty( $article['published'] ) ) {
		$date                    = gmdate( 'Y-m-d H:i:s', strtotime( $article['published'] ) );
		$fields['post_date']     = $date;
		$fields['post_date_gmt'] = $date;
	} else {
		$fields['post_date']     = '2021-01-01 00:00:00';
		$fields['post_date_gmt'] = '2021-01-01 00:00:00';
	}
	$id = wp_insert_post( wp_slash( $fields ), true );
	if ( is_wp_error( $id ) ) {
		fwrite( STDERR, $article['id'] . ': ' . $id->get_error_message() . "\n" );
		exit( 1 );
	}
	return $id;
}

global $wpdb, $wp_rewrite;
foreach ( get_posts( array( 'post_type' => array( 'post', 'page' ), 'post_status' => 'any', 'numberposts' => -1 ) ) as $old ) {
	wp_delete_post( $old->ID, true ); // What an installation greets with, or what a fill that was ended left.
}
update_option( 'default_comment_status', 'closed' );
update_option( 'default_pingback_flag', 0 );
update_option( 'default_ping_status', 'closed' );
$wpdb->query( 'START TRANSACTION' );
wp_defer_term_counting( true );
wp_defer_comment_counting( true );
foreach ( file( $argv[1] ) as $line ) {
	post( json_decode( $line, true, 512, JSON_THROW_ON_ERROR ), 'publish' );
}
foreach ( array( 'A first sketch', 'Notes from the council', 'Do not print yet' ) as $number => $title ) {
	$article = array( 'id' => "draft-$number", 'title' => $title, 'body' => "Draft $number: nobody but its author reads this.", 'section' => 'World' );
	post( $article, 'draft' );
}
post( array( 'id' => 'for-editors-only', 'title' => 'For editors only', 'body' => 'A private post.', 'section' => 'World', 'published' => '2024-06-20T08:00:00Z' ), 'private' );
post( array( 'id' => 'for-subscribers', 'title' => 'For subscribers', 'body' => 'A post with a password.', 'section' => 'World', 'password' => 'sesame' ), 'publish' );
post( array( 'id' => 'for-another-day', 'title' => 'For another day', 'body' => 'A scheduled post.', 'section' => 'World', 'published' => '2099-01-01T08:00:00Z' ), 'future' );
wp_defer_term_counting( false );
$wpdb->query( 'COMMIT' );

update_option( 'timezone_string', 'UTC' );
update_option( 'blogdescription', 'A made-up newsroom' );
$wp_rewrite->set_permalink_structure( '/%postname%/' );
flush_rewrite_rules( false );
switch_theme( 'twentytwentyone' );
set_theme_mod( 'respect_user_color_preference', true ); // Its dark mode.
delete_option( 'theme_switched' ); // Or the next page would arrange the widgets of the theme before.
update_option( 'widget_recent-posts', array( 2 => array( 'title' => 'Latest', 'number' => 5, 'show_date' => true ), '_multiwidget' => 1 ) );
update_option( 'widget_categories', array( 2 => array( 'title' => 'Sections' ), '_multiwidget' => 1 ) );
update_option( 'sidebars_widgets', array( 'sidebar-1' => array( 'recent-posts-2', 'categories-2' ), 'wp_inactive_widgets' => array() ) );
update_option( 'newsroom_filled', 1 );
